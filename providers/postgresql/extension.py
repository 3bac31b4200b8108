"""postgresql.Extension: an extension in a database. It bears no mark: an extension is the same whoever makes it."""

from typing import Any

from providers.plugin.properties import Failure, Kind, Property
from providers.plugin.wire import Plain
from providers.postgresql.client import Session
from providers.postgresql.errors import RefusedError
from providers.postgresql.resource import Call, database_of, ident, is_gone


class Extension:
    token = "postgresql:index/extension:Extension"  # noqa: S105
    exclusive = True
    spec = (
        Property(name="name", identifier=True, autonamed=True, replaces=True),
        Property(name="database", identifier=True, computed=True, replaces=True),
        Property(name="schema", identifier=True, computed=True),
        Property(name="version", computed=True),
        Property(name="createCascade", kind=Kind.BOOL, default=False),
        Property(name="dropCascade", kind=Kind.BOOL, default=False),
    )

    def validate(self, inputs: Plain) -> list[Failure]:  # noqa: ARG002 - no property depends on another
        return []

    def identify(self, call: Call, inputs: Plain) -> str:
        return f"{database_of(call, inputs)}.{inputs['name']}"

    def parse_id(self, object_id: str) -> Plain:
        database, dot, name = object_id.partition(".")
        if not dot or not database or not name:
            raise RefusedError(f"the id of an Extension is DATABASE.EXTENSION, not {object_id!r}")
        return {"name": name, "database": database}

    def create(self, call: Call, inputs: Plain) -> None:
        from psycopg import sql

        name = str(inputs["name"])
        parts: list[sql.Composable] = [sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(ident(name))]
        if inputs.get("schema"):
            parts.append(sql.SQL("SCHEMA {}").format(ident(str(inputs["schema"]))))
        if inputs.get("version"):
            parts.append(sql.SQL("VERSION {}").format(sql.Literal(str(inputs["version"]))))
        if inputs.get("createCascade"):
            parts.append(sql.SQL("CASCADE"))
        with call.client.session(database_of(call, inputs), timeout=call.timeout) as session:
            session.lock("extension", name)
            found = _find(session, name)
            if found is None:
                # Without a schema of its own it goes where this user's objects go.
                session.run("use the user's search path", sql.SQL("SET LOCAL search_path TO DEFAULT"))
                session.run(f"create extension {name!r}", sql.SQL(" ").join(parts))
            else:
                _alter(
                    session, name, {str(key): inputs[key] for key in ("schema", "version") if inputs.get(key)}, found
                )

    def read(self, call: Call, known: Plain) -> Plain | None:
        database = database_of(call, known)
        if is_gone(call, database):
            return None
        with call.client.session(database, timeout=call.timeout) as session:
            found = _find(session, str(known["name"]))
        return None if found is None else found | {"database": database}

    def update(self, call: Call, olds: Plain, news: Plain, changed: frozenset[str]) -> None:
        name = str(news["name"])
        wanted: Plain = {key: news[key] for key in ("schema", "version") if key in changed and news.get(key)}
        with call.client.session(database_of(call, olds), timeout=call.timeout) as session:
            session.lock("extension", name)
            _alter(session, name, wanted, olds)

    def delete(self, call: Call, olds: Plain) -> None:
        from psycopg import sql

        name, database = str(olds["name"]), database_of(call, olds)
        if is_gone(call, database):
            return
        with call.client.session(database, timeout=call.timeout) as session:
            session.lock("extension", name)
            mode = sql.SQL("CASCADE" if olds.get("dropCascade") else "RESTRICT")
            statement = sql.SQL("DROP EXTENSION IF EXISTS {} {}").format(ident(name), mode)
            session.run(f"drop extension {name!r}", statement)


def _find(session: Session, name: str) -> dict[str, Any] | None:
    from psycopg import sql

    statement = sql.SQL(
        "SELECT e.extname AS name, e.extversion AS version, n.nspname AS schema"
        " FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = %s"
    )
    return session.row(f"read extension {name!r}", statement, name)


def _alter(session: Session, name: str, wanted: Plain, olds: Plain) -> None:
    from psycopg import sql

    if wanted.get("schema") and wanted["schema"] != olds.get("schema"):
        statement = sql.SQL("ALTER EXTENSION {} SET SCHEMA {}").format(ident(name), ident(str(wanted["schema"])))
        session.run(f"move extension {name!r} to schema {wanted['schema']!r}", statement)
    if wanted.get("version") and wanted["version"] != olds.get("version"):
        version = sql.Literal(str(wanted["version"]))
        statement = sql.SQL("ALTER EXTENSION {} UPDATE TO {}").format(ident(name), version)
        session.run(f"update extension {name!r} to version {wanted['version']!r}", statement)
