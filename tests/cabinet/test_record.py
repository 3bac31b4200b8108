"""The cabinet's row and its status: adopt or create, drift, someone else's slug, and what is gone already."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from providers.activation import ActivationProvider
from providers.cabinet_record import CABINETS, CabinetRecordProvider
from providers.errors import ConfigurationError, MissingTableError, OwnershipError, ProviderError, UnreachableError
from providers.record_table import RecordTable

Query = Callable[..., list[tuple[Any, ...]]]
Props = dict[str, Any]
MARK = "tenantry/acme"
RECORD = CabinetRecordProvider()
ACTIVATION = ActivationProvider()


def activation_props() -> Props:
    return {"slug": "acme", "tenant_mark": MARK, "status": "active"}


def test_create_read_update_delete(cabinets: Query, record_props: Props) -> None:
    created = RECORD.create(record_props)
    assert created.id == "acme"
    assert created.outs is not None
    assert created.outs["record_id"] == cabinets("SELECT id::text FROM cabinets")[0][0]
    assert RECORD.diff("acme", created.outs, record_props).changes is False

    news = record_props | {"name": 'Cabinet "Zoé" 🦷 d\'Or %s', "city": "Lausanne"}
    assert RECORD.diff("acme", created.outs, news).changes is True
    updated = RECORD.update("acme", created.outs, news)
    assert cabinets("SELECT name, city FROM cabinets") == [(news["name"], "Lausanne")]
    assert RECORD.diff("acme", updated.outs or {}, news).changes is False
    assert RECORD.read("acme", updated.outs or {}).outs == updated.outs

    RECORD.delete("acme", updated.outs or {})
    assert cabinets("SELECT count(*) FROM cabinets") == [(0,)]
    RECORD.delete("acme", updated.outs or {})


def test_creating_again_adopts_the_row(cabinets: Query, record_props: Props) -> None:
    first = RECORD.create(record_props)
    second = RECORD.create(record_props | {"city": "Nyon"})
    assert (first.outs or {})["record_id"] == (second.outs or {})["record_id"]
    assert cabinets("SELECT city FROM cabinets") == [("Nyon",)]


def test_a_slug_of_another_tenant_is_refused_with_its_owner(cabinets: Query, record_props: Props) -> None:
    RECORD.create(record_props | {"tenant_mark": "other/acme", "name": "The others"})
    with pytest.raises(OwnershipError, match=r"'acme'.*taken by other/acme \('The others'\)\. Choose another slug"):
        RECORD.create(record_props)
    RECORD.delete("acme", record_props)
    assert cabinets("SELECT name, tenant_mark FROM cabinets") == [("The others", "other/acme")]
    assert RECORD.read("acme", record_props).id == ""


def test_of_many_who_want_a_slug_at_once_one_gets_it(cabinets: Query, record_props: Props) -> None:
    def create(number: int) -> bool:
        try:
            RECORD.create(record_props | {"tenant_mark": f"project{number}/acme"})
        except OwnershipError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(8))) == 1
    assert cabinets("SELECT count(*) FROM cabinets") == [(1,)]


def test_drift_is_read_and_put_right(cabinets: Query, record_props: Props) -> None:
    RECORD.create(record_props)
    cabinets("UPDATE cabinets SET phone = '+1', template_version = NULL")
    read = RECORD.read("acme", record_props).outs or {}
    assert read["phone"] == "+1"
    assert RECORD.diff("acme", read, record_props).changes is True
    RECORD.update("acme", read, record_props)
    assert RECORD.diff("acme", RECORD.read("acme", record_props).outs or {}, record_props).changes is False


def test_a_row_that_is_gone(cabinets: Query, record_props: Props) -> None:
    RECORD.create(record_props)
    cabinets("DELETE FROM cabinets")
    assert (RECORD.read("acme", record_props).id, RECORD.read("acme", record_props).outs) == ("", {})
    with pytest.raises(ProviderError, match=r"its row is gone.*Run refresh, then up"):
        RECORD.update("acme", record_props, record_props)
    with pytest.raises(ProviderError, match=r"its row is gone.*Run refresh, then up"):
        ACTIVATION.create(activation_props())
    ACTIVATION.delete("acme", activation_props())


@pytest.mark.parametrize("field", ["slug", "tenant_mark"])
def test_another_identity_replaces(record_props: Props, field: str) -> None:
    diff = RECORD.diff("acme", record_props, record_props | {field: "other"})
    assert (diff.changes, diff.replaces, diff.delete_before_replace) == (True, [field], True)


@pytest.mark.parametrize("field", CABINETS.owned)
def test_each_owned_field_updates(record_props: Props, field: str) -> None:
    diff = RECORD.diff("acme", record_props, record_props | {field: "other"})
    assert (diff.changes, diff.replaces) == (True, [])


def test_the_status_is_not_the_records(cabinets: Query, record_props: Props) -> None:
    created = RECORD.create(record_props)
    ACTIVATION.create(activation_props())
    RECORD.update("acme", created.outs or {}, record_props | {"city": "Nyon"})
    assert cabinets("SELECT status FROM cabinets") == [("active",)]


def test_check_names_what_is_missing(record_props: Props) -> None:
    del record_props["email"]
    failures = RECORD.check({}, record_props | {"name": ""}).failures
    assert [failure.property for failure in failures] == ["name", "email"]
    assert RECORD.check({}, record_props | {"email": "x"}).failures == []


class TestActivation:
    def test_active_while_it_exists_and_inactive_after(self, cabinets: Query, record_props: Props) -> None:
        RECORD.create(record_props)
        created = ACTIVATION.create(activation_props()).outs or {}
        assert created["status"] == "active"
        assert cabinets("SELECT status, activated_at IS NOT NULL FROM cabinets") == [("active", True)]
        assert ACTIVATION.create(activation_props()).outs == created
        ACTIVATION.delete("acme", created)
        assert cabinets("SELECT status FROM cabinets") == [("inactive",)]
        ACTIVATION.delete("acme", created)
        assert (ACTIVATION.create(activation_props()).outs or {})["activated_at"] == created["activated_at"]

    def test_drift_is_read_and_put_right(self, cabinets: Query, record_props: Props) -> None:
        RECORD.create(record_props)
        ACTIVATION.create(activation_props())
        cabinets("UPDATE cabinets SET status = 'inactive'")
        read = ACTIVATION.read("acme", activation_props()).outs or {}
        assert ACTIVATION.diff("acme", read, activation_props()).changes is True
        assert (ACTIVATION.update("acme", read, activation_props()).outs or {})["status"] == "active"
        assert cabinets("SELECT status FROM cabinets") == [("active",)]

    def test_another_tenants_row_is_left_alone(self, cabinets: Query, record_props: Props) -> None:
        RECORD.create(record_props | {"tenant_mark": "other/acme"})
        with pytest.raises(ProviderError, match=r"its row is gone"):
            ACTIVATION.create(activation_props())
        assert ACTIVATION.read("acme", activation_props()).id == ""
        assert cabinets("SELECT status FROM cabinets") == [("provisioning",)]

    def test_check_and_identity(self) -> None:
        assert [failure.property for failure in ACTIVATION.check({}, {"slug": "a"}).failures] == [
            "tenant_mark",
            "status",
        ]
        assert ACTIVATION.diff("a", activation_props(), activation_props() | {"slug": "b"}).replaces == ["slug"]


class TestFaults:
    def test_without_the_table_the_way_out_is_named(self, main_db: Any, record_props: Props) -> None:
        for call in (lambda: RECORD.create(record_props), lambda: RECORD.read("acme", record_props)):
            with pytest.raises(MissingTableError, match=r"no table 'cabinets'. Run: tenantry db upgrade"):
                call()
        RECORD.delete("acme", record_props)
        ACTIVATION.delete("acme", activation_props())

    def test_without_the_main_database_the_way_out_is_named(
        self, main_db: Any, record_props: Props, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DB_NAME", "nowhere")
        with pytest.raises(UnreachableError, match=r"no database 'nowhere'.*Run: tenantry db upgrade"):
            RECORD.create(record_props)

    def test_a_wrong_password_is_not_tried_again_and_never_shown(
        self, main_db: Any, record_props: Props, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("providers.session.WAITS", (60.0,))
        monkeypatch.setenv("DB_PASSWORD", "hunter2-hunter2")
        with pytest.raises(UnreachableError, match=r"refuses the login of.*Correct DB_USER and DB_PASSWORD") as caught:
            RECORD.create(record_props)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__suppress_context__

    def test_a_server_that_is_down_is_tried_three_times(
        self, record_props: Props, monkeypatch: pytest.MonkeyPatch, quick_retries: None
    ) -> None:
        import psycopg

        tries: list[int] = []
        connect = psycopg.connect
        monkeypatch.setattr(psycopg, "connect", lambda **options: tries.append(1) or connect(**options))
        monkeypatch.setenv("DB_HOST", "127.0.0.1")
        monkeypatch.setenv("DB_PORT", "1")
        with pytest.raises(
            UnreachableError, match=r"127.0.0.1:1 cannot be reached: .*Start it, or correct DB_HOST and DB_PORT"
        ) as caught:
            RECORD.create(record_props)
        assert len(tries) == 3
        assert "\n" not in str(caught.value)

    def test_a_connection_that_is_cut_is_tried_again(
        self, cabinets: Query, record_props: Props, monkeypatch: pytest.MonkeyPatch, quick_retries: None
    ) -> None:
        select, cuts = RecordTable._select, [1]

        def cut_once(table: RecordTable, connection: Any, *values: Any) -> Any:
            if cuts:
                cuts.pop()
                connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            return select(table, connection, *values)

        monkeypatch.setattr(RecordTable, "_select", cut_once)
        assert RECORD.create(record_props).id == "acme"
        assert cabinets("SELECT count(*) FROM cabinets") == [(1,)]

    def test_a_lock_that_is_not_given_back_ends_in_a_message(
        self, cabinets: Query, main_db: Any, record_props: Props, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("providers.session.LOCK_SECONDS", 1)
        with main_db.connect() as connection, connection.transaction():
            connection.execute("LOCK TABLE cabinets")
            with pytest.raises(ProviderError, match=r"held a lock for over 1 s.*then retry"):
                RECORD.create(record_props)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("DB_PORT", "five"), ("DB_PORT", "70000"), ("DB_SSL", "perhaps"), ("TENANTRY_DB_CONNECT_TIMEOUT", "0")],
    )
    def test_a_wrong_variable_is_named(
        self, record_props: Props, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigurationError, match=f"{name} is '{value}'"):
            RECORD.create(record_props)


def test_the_recorded_template_is_the_tenants_own(cabinets: Query, record_props: Props) -> None:
    assert CABINETS.template("acme", MARK) is None
    RECORD.create(record_props)
    assert CABINETS.template("acme", MARK) == ("default-dental", "1.0.0")
    assert CABINETS.template("acme", "other/acme") is None
    cabinets("UPDATE cabinets SET template_version = NULL")
    assert CABINETS.template("acme", MARK) is None
