"""The pure parts: values on the wire, checks and differences, passwords, lists of identifiers, configuration."""

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from providers.plugin.properties import Kind, Property, coerce, diff
from providers.plugin.wire import UNKNOWN, Bag, decode, encode, has_unknown
from providers.postgresql import config, passwords
from providers.postgresql.errors import RefusedError, StatementError, UnreachableError
from providers.postgresql.registry import TYPES, type_of
from providers.postgresql.role_settings import read_settings, split_identifiers
from tests.providers.plugin import SECRET, SIGNATURE

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_LEAF = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT | st.just(UNKNOWN)
_VALUE = st.recursive(_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3))


@given(st.dictionaries(_TEXT.filter(bool), _VALUE.filter(lambda value: value is not None), max_size=4), st.data())
def test_values_survive_the_wire(values: dict[str, Any], data: st.DataObject) -> None:
    secret = data.draw(st.sets(st.sampled_from(sorted(values)))) if values else set()
    bag = Bag(values=values, secret=frozenset(secret))
    text = encode(bag).SerializeToString()
    assert decode(Struct.FromString(text)) == bag


def test_secrets_are_found_wherever_they_lie() -> None:
    wire = Struct()
    wire.update({"list": [{"deep": {SIGNATURE: SECRET, "value": ["x"]}}], "open": "y"})
    assert decode(wire) == Bag(values={"list": [{"deep": ["x"]}], "open": "y"}, secret=frozenset({"list"}))
    output = {SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4"}
    wire.update({"later": output | {"secret": True}, "now": output | {"value": "v", "dependencies": ["urn"]}})
    found = decode(wire)
    assert (found.values["later"], found.values["now"]) == (UNKNOWN, "v")
    assert found.secret == {"list", "later"}
    assert has_unknown({"a": [{"b": UNKNOWN}]})


@pytest.mark.parametrize(
    ("kind", "given_value", "wanted"),
    [
        (Kind.BOOL, "true", True),
        (Kind.BOOL, "False", False),
        (Kind.INTEGER, "-1", -1),
        (Kind.STRING, 7, "7"),
        (Kind.STRING, True, "true"),
        (Kind.SET, ["a", UNKNOWN], ["a", UNKNOWN]),
        (Kind.OBJECTS, [UNKNOWN], [UNKNOWN]),
    ],
)
def test_values_are_taken_as_the_bridge_takes_them(kind: Kind, given_value: Any, wanted: Any) -> None:
    assert coerce(Property(name="p", kind=kind), given_value) == (wanted, [])


@given(st.sampled_from(sorted(TYPES)), st.data())
def test_what_is_as_wished_is_no_difference(token: str, data: st.DataObject) -> None:
    kinds = {
        Kind.STRING: _TEXT,
        Kind.BOOL: st.booleans(),
        Kind.INTEGER: st.integers(0, 9),
        Kind.LIST: st.lists(_TEXT, max_size=2),
        Kind.SET: st.lists(_TEXT, max_size=2),
        Kind.OBJECTS: st.just([]),
    }
    spec = [prop for prop in TYPES[token].spec if not prop.refused]
    values = {prop.name: data.draw(kinds[prop.kind]) for prop in spec if data.draw(st.booleans())}
    assert not diff(spec, Bag(values=values), Bag(values=values)).by_name
    # Whatever changes, only a property that is given or was given can be named for it.
    other = {prop.name: data.draw(kinds[prop.kind]) for prop in spec if data.draw(st.booleans())}
    changes = diff(spec, Bag(values=values), Bag(values=other))
    assert changes.by_name.keys() <= values.keys() | other.keys()
    assert changes.replaces <= changes.by_name.keys()


def test_passwords_match_their_verifiers() -> None:
    # RFC 7677's example: user "user", password "pencil".
    scram = (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    assert passwords.matches(scram, "pencil", "user")
    assert not passwords.matches(scram, "Pencil", "user")
    assert passwords.matches(scram, scram, "user")
    assert not passwords.matches("", "pencil", "user")
    assert not passwords.matches("SCRAM-SHA-256$what", "pencil", "user")
    assert not passwords.matches("SCRAM-SHA-256$1:!$!:!", "pencil", "user")


def test_md5_verifiers_hold_the_role() -> None:
    import hashlib

    made = "md5" + hashlib.md5(b"pencil" + b"user", usedforsecurity=False).hexdigest()
    assert passwords.matches(made, "pencil", "user")
    assert not passwords.matches(made, "pencil", "other")
    assert passwords.is_verifier(made)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)))
def test_lists_of_identifiers_are_read_as_they_are_written(names: list[str]) -> None:
    written = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
    assert split_identifiers(written) == names


def test_settings_of_a_role() -> None:
    found = read_settings(['search_path=public, "$user"', "statement_timeout=50", "role=boss", "work_mem=4MB"])
    assert found == {
        "searchPaths": ["public", "$user"],
        "statementTimeout": 50,
        "idleInTransactionSessionTimeout": None,
        "assumeRole": "boss",
    }


def test_configuration_prefers_what_is_given() -> None:
    environ = {"PGHOST": "env", "PGPORT": "6543", "PGPASSWORD": "e", "PGCONNECT_TIMEOUT": "9", "PGSSLROOTCERT": "/ca"}
    made = config.resolve({"host": "given", "clientcert": '{"cert": "/c", "key": "/k"}'}, environ)
    assert (made.host, made.port, made.password, made.connect_timeout) == ("given", 6543, "e", 9)
    assert made.extra == {"sslrootcert": "/ca", "sslcert": "/c", "sslkey": "/k"}
    assert (made.sslmode, made.database, made.max_connections) == ("require", "postgres", 20)
    assert "'e'" not in repr(made)
    for wrong, name in (({"PGPORT": "many"}, "PGPORT"), ({"PGSSLMODE": "maybe"}, "PGSSLMODE")):
        with pytest.raises(RefusedError, match=name):
            config.resolve({}, wrong)
    assert config.check({"clientcert": "no json"})[1][0][0] == "clientcert"
    assert config.check({"clientcert": {"cert": "a", "key": "b", "sslinline": True}})[1][0][0] == "clientcert.sslinline"
    assert config.check({"clientcert": UNKNOWN})[1] == []


def test_a_row_changed_by_two_at_once_is_tried_again() -> None:
    from providers.postgresql.client import Client

    waited: list[float] = []
    client = Client(config=config.resolve({}, {}), sleep=waited.append)
    tries = iter(
        [StatementError("tuple concurrently updated", sqlstate="XX000"), StatementError("x", sqlstate="40P01")]
    )

    def action() -> str:
        error = next(tries, None)
        if error is not None:
            raise error
        return "done"

    assert client.retrying(action) == "done"
    assert len(waited) == 2

    def refused() -> None:
        raise StatementError("no", sqlstate="42704")

    with pytest.raises(StatementError, match="no"):
        client.retrying(refused)

    def lost() -> None:
        raise UnreachableError("gone")

    with pytest.raises(UnreachableError):
        client.retrying(lost)
    assert len(waited) == 2


def test_the_old_token_of_default_privileges_is_known() -> None:
    assert (
        type_of("postgresql:index/defaultPrivileg:DefaultPrivileg")
        is TYPES["postgresql:index/defaultPrivileges:DefaultPrivileges"]
    )
