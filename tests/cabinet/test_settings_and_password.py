"""Settings in the cabinet's own table; generated passwords; and what all dynamic providers must be."""

import base64
import importlib
import pickle
import string
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.dynamic.dynamic import serialize_provider

from providers.cabinet_settings import CabinetSettingsProvider
from providers.connection import DatabaseSettings
from providers.errors import ConfigurationError
from providers.migration_files import digest_of, load_bundle
from providers.migrations import MigrationsProvider
from providers.password import PasswordProvider
from providers.props import differing, without_nulls
from stacks.templates import TemplateStore

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = CabinetSettingsProvider()
PASSWORD = PasswordProvider()
Props = dict[str, Any]
PROVIDERS = [
    ("providers.password", "PasswordProvider"),
    ("providers.cabinet_record", "CabinetRecordProvider"),
    ("providers.migrations", "MigrationsProvider"),
    ("providers.cabinet_settings", "CabinetSettingsProvider"),
    ("providers.activation", "ActivationProvider"),
    ("providers.oauth.resource", "OAuthClientProvider"),
]


@pytest.fixture
def query(main_db: Any) -> Callable[..., list[tuple[Any, ...]]]:
    """Runs a query on a database that has the cabinet's schema."""
    migrations = load_bundle("cabinet")
    MigrationsProvider().create(
        {
            "tenant_mark": "tenantry/acme",
            "database": main_db.name,
            "schema": "cabinet",
            "bundle": "cabinet",
            "version": migrations[-1].version,
            "digest": digest_of([migration.checksum for migration in migrations]),
        }
    )

    def run(text: str, *values: Any) -> list[tuple[Any, ...]]:
        with main_db.connect() as connection:
            cursor = connection.execute(text, values)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def props(main_db: Any) -> Props:
    settings = without_nulls(TemplateStore().get("default-dental").settings)
    return {"database": main_db.name, "schema": "cabinet", "template": "default-dental@1.0.0", "settings": settings}


class TestSettings:
    def test_one_row_per_section(self, query: Any, props: Props) -> None:
        created = SETTINGS.create(props)
        rows = dict(query("SELECT section, value FROM cabinet.settings"))
        assert rows == props["settings"]
        assert set(rows) >= {"workingHours", "booking", "notifications", "branding", "timezone"}
        assert SETTINGS.diff(created.id, created.outs or {}, props).changes is False
        assert SETTINGS.read(created.id, created.outs or {}).outs == created.outs

    def test_only_what_changed_is_written(self, query: Any, props: Props) -> None:
        created = SETTINGS.create(props)
        before = dict(query("SELECT section, updated_at FROM cabinet.settings"))
        news = props | {"settings": props["settings"] | {"timezone": "Asia/Tokyo"}}
        assert SETTINGS.diff("x", created.outs or {}, news).changes is True
        SETTINGS.update("x", created.outs or {}, news)
        after = dict(query("SELECT section, updated_at FROM cabinet.settings"))
        assert {section for section in after if after[section] != before[section]} == {"timezone"}

    def test_numbers_as_pulumi_sends_them_are_no_change(self, query: Any, props: Props) -> None:
        created = SETTINGS.create(props)
        news = _floats(props)
        assert SETTINGS.diff("x", created.outs or {}, news).changes is False

    def test_drift_is_read_and_put_right(self, query: Any, props: Props) -> None:
        SETTINGS.create(props)
        query("UPDATE cabinet.settings SET value = jsonb_set(value, '{advanceDays}', '99') WHERE section = 'booking'")
        query("DELETE FROM cabinet.settings WHERE section = 'branding'")
        read = SETTINGS.read("x", props).outs or {}
        assert read["settings"]["booking"]["advanceDays"] == 99
        assert SETTINGS.diff("x", read, props).changes is True
        SETTINGS.update("x", read, props)
        assert dict(query("SELECT section, value FROM cabinet.settings")) == props["settings"]

    def test_rows_of_the_application_are_left_alone(self, query: Any, props: Props) -> None:
        created = SETTINGS.create(props)
        query("INSERT INTO cabinet.settings (section, value) VALUES ('app.theme', '1')")
        assert SETTINGS.diff("x", SETTINGS.read("x", props).outs or {}, props).changes is False
        smaller = props | {"settings": {"timezone": "Asia/Tokyo"}}
        SETTINGS.update("x", created.outs or {}, smaller)
        assert dict(query("SELECT section, value FROM cabinet.settings")) == {"timezone": "Asia/Tokyo", "app.theme": 1}
        SETTINGS.delete("x", smaller)
        assert query("SELECT section FROM cabinet.settings") == [("app.theme",)]

    def test_what_is_gone(self, query: Any, props: Props) -> None:
        SETTINGS.create(props)
        SETTINGS.delete("x", props)
        assert SETTINGS.read("x", props).id == ""
        query("DROP SCHEMA cabinet CASCADE")
        for gone in (props, props | {"database": "nowhere"}):
            assert SETTINGS.read("x", gone).id == ""
            SETTINGS.delete("x", gone)

    def test_check_and_identity(self, props: Props) -> None:
        assert [failure.property for failure in SETTINGS.check({}, {"schema": "x"}).failures] == [
            "database",
            "template",
            "settings",
        ]
        assert SETTINGS.diff("x", props, props | {"schema": "other"}).replaces == ["schema"]
        assert SETTINGS.diff("x", props, props | {"template": "a@2.0.0"}).replaces == []


class TestPassword:
    def test_32_characters_that_need_no_quoting(self) -> None:
        values = {(PASSWORD.create({"owner": "acme"}).outs or {})["value"] for _ in range(100)}
        assert len(values) == 100
        assert all(
            len(value) == 32 and set(value) <= set(string.ascii_letters + string.digits + "-_") for value in values
        )

    def test_stays_until_its_owner_changes(self) -> None:
        outs = PASSWORD.create({"owner": "acme"}).outs or {}
        assert PASSWORD.diff("acme", outs, {"owner": "acme"}).changes is False
        assert PASSWORD.read("acme", outs).outs == outs
        assert PASSWORD.diff("acme", outs, {"owner": "other"}).replaces == ["owner"]
        assert [failure.property for failure in PASSWORD.check({}, {}).failures] == ["owner"]


@pytest.mark.parametrize(("module", "name"), PROVIDERS)
class TestEveryProvider:
    def test_a_thousand_constructions_in_one_process(self, module: str, name: str) -> None:
        # The SDK wraps pickle anew at each: a class with state would hit the recursion limit.
        kind = getattr(importlib.import_module(module), name)
        assert len({serialize_provider(kind()) for _ in range(1000)}) == 1

    def test_is_kept_in_the_state_by_reference(self, module: str, name: str) -> None:
        kind = getattr(importlib.import_module(module), name)
        data = base64.b64decode(serialize_provider(kind()))
        assert len(data) < 100
        assert type(pickle.loads(data)) is kind  # noqa: S301 - made on the line above
        assert kind.serialize_as_secret_always is False
        assert vars(kind()) == {}


def test_providers_import_no_driver_and_no_validation() -> None:
    modules = ", ".join(module for module, _ in PROVIDERS)
    code = f"import pulumi, sys; before = set(sys.modules); import {modules}; print(*set(sys.modules) - before)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    loaded = {module.split(".")[0] for module in run.stdout.split()}
    assert not loaded & {"psycopg", "pydantic", "sqlalchemy", "tenacity", "yaml", "stacks", "automation"}


class TestConnection:
    def test_defaults_and_values(self) -> None:
        assert DatabaseSettings.from_env({}).address == "localhost:5432"
        env = {
            "DB_HOST": "db",
            "DB_PORT": "6432",
            "DB_USER": "u",
            "DB_PASSWORD": "s3cret!",
            "DB_SSL": "true",
            "DB_NAME": "main",
        }
        settings = DatabaseSettings.from_env(env)
        assert (settings.address, settings.user, settings.sslmode, settings.main_database) == (
            "db:6432",
            "u",
            "require",
            "main",
        )
        assert "s3cret!" not in repr(settings)

    @pytest.mark.parametrize(
        ("word", "mode"),
        [("", "prefer"), ("false", "disable"), ("0", "disable"), ("TRUE", "require"), ("verify-full", "verify-full")],
    )
    def test_ssl_words(self, word: str, mode: str) -> None:
        assert DatabaseSettings.from_env({"DB_SSL": word}).sslmode == mode

    @pytest.mark.parametrize(("name", "value"), [("DB_PORT", "0"), ("DB_PORT", "5432x"), ("DB_SSL", "maybe")])
    def test_wrong_values_are_named(self, name: str, value: str) -> None:
        with pytest.raises(ConfigurationError, match=f"{name} is '{value}'"):
            DatabaseSettings.from_env({name: value})


@given(
    st.dictionaries(st.sampled_from("abcd"), st.none() | st.integers()),
    st.dictionaries(st.sampled_from("abcd"), st.none() | st.integers()),
)
def test_a_missing_field_equals_none(olds: Props, news: Props) -> None:
    assert differing(olds, news, "abcd") == differing(without_nulls(olds), without_nulls(news), "abcd")
    assert differing(olds, olds, "abcd") == []


def _floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _floats(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_floats(child) for child in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
