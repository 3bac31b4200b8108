"""postgresql.Database: a database. Never drops one that it did not find by name, and never adopts a stranger's."""

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from providers.plugin.properties import Failure, Kind, Property, diff
from providers.plugin.wire import Bag, Plain
from providers.postgresql.client import Session
from providers.postgresql.errors import ProviderError
from providers.postgresql.resource import Call, as_member_of, ident, refuse_foreign

if TYPE_CHECKING:
    from psycopg import sql

_FORCE_DROP_VERSION = 130_000


def _encoding(name: str) -> str:
    return name.upper().replace("-", "").replace("_", "")


class Database:
    token = "postgresql:index/database:Database"  # noqa: S105
    exclusive = False
    spec = (
        Property(name="name", identifier=True, autonamed=True),
        Property(name="owner", identifier=True, computed=True),
        Property(name="template", identifier=True, computed=True, replaces=True),
        Property(name="encoding", computed=True, replaces=True, canonical=_encoding),
        Property(name="lcCollate", computed=True, replaces=True),
        Property(name="lcCtype", computed=True, replaces=True),
        Property(name="tablespaceName", identifier=True, computed=True),
        Property(name="connectionLimit", kind=Kind.INTEGER, default=-1, minimum=-1),
        Property(name="allowConnections", kind=Kind.BOOL, default=True),
        Property(name="isTemplate", kind=Kind.BOOL, computed=True),
        Property(name="alterObjectOwnership", kind=Kind.BOOL, default=False),
    )

    def validate(self, inputs: Plain) -> list[Failure]:  # noqa: ARG002 - no property depends on another
        return []

    def identify(self, call: Call, inputs: Plain) -> str:  # noqa: ARG002
        return str(inputs["name"])

    def parse_id(self, object_id: str) -> Plain:
        return {"name": object_id, "template": "template0"}

    def create(self, call: Call, inputs: Plain) -> None:
        name = str(inputs["name"])
        with call.client.session(autocommit=True, timeout=call.timeout) as session:
            session.lock("database", name)
            found = _find(session, name)
            if found is None:
                _create(call, session, name, inputs)
                return
            refuse_foreign(call, f"database {name!r}", found["mark"])
        # Made by a run that ended before it could write so down: brought up to date instead.
        facts = _facts(found)
        changed = diff(self.spec, Bag(values=facts), Bag(values=inputs))
        self.update(call, facts, inputs, frozenset(changed.by_name))

    def read(self, call: Call, known: Plain) -> Plain | None:
        with call.client.session(timeout=call.timeout) as session:
            found = _find(session, str(known["name"]))
        # The server does not remember the template.
        return None if found is None else _facts(found) | {"template": known.get("template") or "template0"}

    def update(self, call: Call, olds: Plain, news: Plain, changed: frozenset[str]) -> None:
        from psycopg import sql

        name, wanted = str(olds["name"]), str(news["name"])
        owner = str(news.get("owner") or "")
        with call.client.session(autocommit=True, timeout=call.timeout) as session:
            session.lock("database", name, wanted)
            with as_member_of(session, [str(olds.get("owner") or ""), owner]):
                if wanted != name:
                    statement = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(ident(name), ident(wanted))
                    session.run(f"rename database {name!r} to {wanted!r}", statement)
                if "owner" in changed and owner:
                    _set_owner(call, session, olds, news)
                for clause in _settings(news, changed):
                    statement = sql.SQL("ALTER DATABASE {} {}").format(ident(wanted), clause)
                    session.run(f"change database {wanted!r}", statement)
                _mark(call, session, wanted)

    def delete(self, call: Call, olds: Plain) -> None:
        name = str(olds["name"])
        with call.client.session(autocommit=True, timeout=call.timeout) as session:
            session.lock("database", name)
            found = _find(session, name)
            if found is None:
                return
            with as_member_of(session, [found["owner"]]):
                _drop(session, name, template=found["datistemplate"])


def _find(session: Session, name: str) -> dict[str, Any] | None:
    from psycopg import sql

    statement = sql.SQL(
        "SELECT d.datname, pg_get_userbyid(d.datdba) AS owner, pg_encoding_to_char(d.encoding) AS encoding,"
        " d.datcollate, d.datctype, t.spcname, d.datconnlimit, d.datallowconn, d.datistemplate,"
        " shobj_description(d.oid, 'pg_database') AS mark"
        " FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = %s"
    )
    return session.row(f"read database {name!r}", statement, name)


def _facts(row: dict[str, Any]) -> Plain:
    return {
        "name": row["datname"],
        "owner": row["owner"],
        "encoding": row["encoding"],
        "lcCollate": row["datcollate"],
        "lcCtype": row["datctype"],
        "tablespaceName": row["spcname"],
        "connectionLimit": row["datconnlimit"],
        "allowConnections": row["datallowconn"],
        "isTemplate": row["datistemplate"],
    }


def _create(call: Call, session: Session, name: str, inputs: Plain) -> None:
    """Made under a name of its own, marked, then renamed: a run killed in between leaves nothing that looks finished.

    CREATE DATABASE and COMMENT cannot share a transaction.
    """
    from psycopg import sql

    passing = "pulumi-creating-" + hashlib.sha256(f"{call.urn}\0{name}".encode()).hexdigest()[:24]
    owner = str(inputs.get("owner") or "")
    owner = session.user if owner.upper() in {"", "DEFAULT"} else owner
    with as_member_of(session, [owner]):
        _drop(session, passing, template=False)
        doing = f"create database {name!r}"
        making = sql.SQL("CREATE DATABASE {} OWNER {} {}").format(ident(passing), ident(owner), _options(inputs))
        session.run(doing, making)
        try:
            _mark(call, session, passing)
            session.run(doing, sql.SQL("ALTER DATABASE {} RENAME TO {}").format(ident(passing), ident(name)))
        except ProviderError:
            with suppress(ProviderError):  # the first error is the one to tell; the next run drops it too
                _drop(session, passing, template=bool(inputs.get("isTemplate")))
            raise


def _options(inputs: Plain) -> "sql.Composable":
    """The clauses of CREATE DATABASE, with the stock provider's defaults: template0 and UTF8."""
    from psycopg import sql

    parts: list[sql.Composable] = []
    for keyword, name, fallback, literal in (
        ("TEMPLATE", "template", "template0", False),
        ("ENCODING", "encoding", "UTF8", True),
        ("LC_COLLATE", "lcCollate", "", True),
        ("LC_CTYPE", "lcCtype", "", True),
        ("TABLESPACE", "tablespaceName", "", False),
    ):
        value = str(inputs.get(name) or fallback)
        if not value:
            continue
        if value.upper() == "DEFAULT":
            chosen: sql.Composable = sql.SQL("DEFAULT")
        else:
            chosen = sql.Literal(value) if literal else ident(value)
        parts.append(sql.SQL("{} {}").format(sql.SQL(keyword), chosen))
    parts.extend(_settings(inputs, frozenset({"connectionLimit", "allowConnections", "isTemplate"})))
    return sql.SQL(" ").join(parts)


def _settings(inputs: Plain, changed: frozenset[str]) -> "list[sql.Composable]":
    from psycopg import sql

    parts: list[sql.Composable] = []
    for keyword, name in (
        ("ALLOW_CONNECTIONS", "allowConnections"),
        ("CONNECTION LIMIT", "connectionLimit"),
        ("IS_TEMPLATE", "isTemplate"),
    ):
        value = inputs.get(name)
        if name in changed and value is not None:
            parts.append(sql.SQL("{} {}").format(sql.SQL(keyword), sql.Literal(value)))
    space = str(inputs.get("tablespaceName") or "")
    if "tablespaceName" in changed and space:
        parts.append(sql.SQL("SET TABLESPACE {}").format(ident(space)))
    return parts


def _set_owner(call: Call, session: Session, olds: Plain, news: Plain) -> None:
    from psycopg import sql

    name, owner, before = str(news["name"]), str(news["owner"]), str(olds.get("owner") or "")
    doing = f"give database {name!r} to role {owner!r}"
    session.run(doing, sql.SQL("ALTER DATABASE {} OWNER TO {}").format(ident(name), ident(owner)))
    if news.get("alterObjectOwnership") and before and before != owner:
        with call.client.session(name, timeout=call.timeout) as inside, as_member_of(inside, [before, owner]):
            statement = sql.SQL("REASSIGN OWNED BY {} TO {}").format(ident(before), ident(owner))
            inside.run(f"give what role {before!r} owns in database {name!r} to role {owner!r}", statement)


def _mark(call: Call, session: Session, name: str) -> None:
    from psycopg import sql

    statement = sql.SQL("COMMENT ON DATABASE {} IS {}").format(ident(name), sql.Literal(call.mark))
    session.run(f"mark database {name!r} as this resource's", statement)


def _drop(session: Session, name: str, *, template: bool) -> None:
    """Drop it, ending the connections to it."""
    from psycopg import sql

    doing = f"drop database {name!r}"
    if template:
        session.run(doing, sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(ident(name)))
    force = sql.SQL(" WITH (FORCE)")
    if session.version < _FORCE_DROP_VERSION:
        force = sql.SQL("")
        ending = sql.SQL(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        )
        session.run(doing, ending, name)
    session.run(doing, sql.SQL("DROP DATABASE IF EXISTS {}{}").format(ident(name), force))
