"""A cabinet's effective settings, in the table `settings` of its own schema: one row per section.

Decides which rows it owns: the sections that it was given. It leaves other rows alone, and never checks the values: the
manifest's model has done so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.errors import MissingDatabaseError, MissingTableError
from providers.props import diff_of, required, without_nulls
from providers.session import run_in

if TYPE_CHECKING:
    import psycopg

IDENTITY = ("database", "schema")
OWNED = ("template", "settings")


class CabinetSettingsProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, (*IDENTITY, *OWNED))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        olds, news = without_nulls(_olds), without_nulls(_news)
        return diff_of(olds, news, identity=IDENTITY, owned=OWNED)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"{props['database']}/{props['schema']}", _written(props, former=()))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            outs = _on_settings(props, lambda connection: _read(connection, props))
        except (MissingDatabaseError, MissingTableError):
            outs = None
        return ReadResult(id_, outs) if outs else ReadResult("", {})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_written(_news, former=tuple(_olds.get("settings") or ())))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        # What held the rows may be gone before them.
        with contextlib.suppress(MissingDatabaseError, MissingTableError):
            _on_settings(_props, lambda connection: _delete(connection, _props, tuple(_props.get("settings") or ())))


class CabinetSettings(Resource, module="tenantry", name="CabinetSettings"):
    """`settings` are the effective ones, without those that are null; `template` is `id@version`."""

    settings: pulumi.Output[Any]
    template: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        database: str,
        schema: str,
        template: str,
        settings: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"database": database, "schema": schema, "template": template, "settings": without_nulls(settings)}
        super().__init__(CabinetSettingsProvider(), name, props, opts)


def _on_settings(props: Mapping[str, Any], work: Any) -> Any:
    return run_in(
        str(props["database"]), f"settings in schema {props['schema']!r} of database {props['database']!r}", work
    )


def _written(props: dict[str, Any], *, former: tuple[str, ...]) -> dict[str, Any]:
    sections: dict[str, Any] = without_nulls(props["settings"])

    def work(connection: psycopg.Connection[Any]) -> dict[str, Any]:
        from psycopg import sql
        from psycopg.types.json import Jsonb

        upsert = sql.SQL(
            "INSERT INTO {}.settings (section, value, template) VALUES (%s, %s, %s) ON CONFLICT (section) DO UPDATE "
            "SET value = excluded.value, template = excluded.template, updated_at = now() "
            "WHERE (settings.value, settings.template) IS DISTINCT FROM (excluded.value, excluded.template)"
        ).format(sql.Identifier(props["schema"]))
        # Always in the same order, so that two writers cannot lock each other out.
        for section in sorted(sections):
            connection.execute(upsert, (section, Jsonb(sections[section]), props["template"]))
        _delete(connection, props, tuple(section for section in former if section not in sections))
        return {**{name: props[name] for name in IDENTITY}, "template": props["template"], "settings": sections}

    outs: dict[str, Any] = _on_settings(props, work)
    return outs


def _read(connection: psycopg.Connection[Any], props: dict[str, Any]) -> dict[str, Any] | None:
    from psycopg import sql

    statement = sql.SQL("SELECT section, value, template FROM {}.settings WHERE section = ANY(%s) ORDER BY section")
    owned = list(props.get("settings") or ())
    rows = connection.execute(statement.format(sql.Identifier(props["schema"])), (owned,)).fetchall()
    if not rows:
        return None
    templates = sorted({str(row[2]) for row in rows})
    return {
        **{name: props[name] for name in IDENTITY},
        "template": ", ".join(templates),
        "settings": {row[0]: without_nulls(row[1]) for row in rows},
    }


def _delete(connection: psycopg.Connection[Any], props: Mapping[str, Any], sections: tuple[str, ...]) -> None:
    from psycopg import sql

    statement = sql.SQL("DELETE FROM {}.settings WHERE section = ANY(%s)").format(sql.Identifier(props["schema"]))
    connection.execute(statement, (list(sections),))
