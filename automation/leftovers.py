"""What is left of a tenant after its removal: in its state, on its database server, in the main database. Reads only.

A tenant's objects may be on the server of its region: they are looked for there, and not where they never were.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine

from automation import history, queries, records
from automation.database import transaction
from automation.history import NewDeployment
from automation.settings import PROJECT_NAME, Settings

Resources = Sequence[Mapping[str, Any]]
_ENGINES = {"erpnext": "providers.erpnext.leftovers", "odoo": "providers.odoo.leftovers"}
"""Where points of sale are, by the name of the engine, which is that of the region's part too."""
_SITE = "tenantry:Site"
_ON_SERVER = {"Database": "databases", "Role": "roles"}


def found(database: Engine, settings: Settings, new: NewDeployment, before: Resources, after: Resources) -> list[str]:
    """As readers would name it. `before` and `after` are the state's resources. Raises DatabaseError."""
    names = _names(before)
    mark = f"{PROJECT_NAME}/{new.tenant}"
    left = [_described(resource) for resource in after if _is_object(resource)]
    with transaction(database, settings) as connection:
        known = _settings(connection, new)
        regions = _regions(new, known, before)
        if not regions:
            left += queries.leftovers(connection, names["databases"], names["roles"])
        record = records.owned(connection, new.tenant, mark)
    for region in regions:
        match new.line:
            case "pos":
                left += _left_in_engine(region, known, mark)
            case "site":
                left += _left_on_bench(region, known, mark, before)
            case _:
                left += _left_in(region, new, mark, names)
    if record is not None:
        left.append(f"{record.line} record in the main database")
    return left


def _settings(connection: Connection, new: NewDeployment) -> Mapping[str, Any]:
    """Those that the tenant was to have; empty where none are on record."""
    known = new.manifest or new.previous_manifest
    if known is None and new.line == "site":
        # Of a first create that failed a site may be left that is in no state, nor in settings that ever held.
        known = history.settings_of_runs(connection, new.tenant)
    return known or {}


def _left_in(region: str, new: NewDeployment, mark: str, names: Mapping[str, list[str]]) -> list[str]:
    # Late: most commands remove nothing, or nothing in a region.
    from providers.platform_leftovers import left_on
    from providers.plugin.resource import MARK_PREFIX
    from providers.region_leftovers import left_in

    server_mark = f"{MARK_PREFIX}urn:pulumi:{new.tenant}::{PROJECT_NAME}::"
    return [
        *_told(region, lambda: left_in(region, tenant_mark=mark, server_mark=server_mark, **names)),
        *_told(region, lambda: left_on(region, slug=new.tenant, tenant_mark=mark)),
    ]


def _left_in_engine(region: str, known: Mapping[str, Any], mark: str) -> list[str]:
    """In the engine of its manifest; where none is on record, in each that the region has."""
    named = (known.get("manifest") or {}).get("engine")

    def look(engine: str) -> list[str]:
        module = importlib.import_module(_ENGINES[engine])
        found: list[str] = module.left_in(region, tenant_mark=mark)
        return found

    def engines() -> list[str]:
        from providers.backends import parts_of

        parts = parts_of(region)
        return [one for one in _ENGINES if (one == named if named else getattr(parts, one) is not None)]

    return _told(region, lambda: [left for engine in engines() for left in look(engine)])


def _left_on_bench(region: str, known: Mapping[str, Any], mark: str, before: Resources) -> list[str]:
    """What its site is called, its state says, and its settings: what has been made may be in no state."""
    from providers.site.leftovers import left_of

    settings = known.get("settings") or {}
    own = [(one.get("inputs") or {}).get("site") for one in before if str(one.get("type", "")).endswith(_SITE)]
    sites = [name for name in (*own, settings.get("host")) if isinstance(name, str)]
    return _told(region, lambda: left_of(region, sites, tenant_mark=mark))


def _told(region: str, look: Callable[[], list[str]]) -> list[str]:
    from providers.errors import ProviderError

    try:
        return look()
    except ProviderError as error:
        return [f"unknown in region {region}, because {error}"]


def _names(before: Resources) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {kind: [] for kind in _ON_SERVER.values()}
    for resource in before:
        package, _, kind = str(resource.get("type", "")).partition(":")
        if package == "postgresql" and (into := _ON_SERVER.get(kind.rsplit(":", 1)[-1])) is not None:
            names[into].append(str((resource.get("inputs") or {}).get("name") or resource.get("id")))
    return names


def _regions(new: NewDeployment, known: Mapping[str, Any], before: Resources) -> list[str]:
    """Where the tenant is by its state; by its manifest too, for what has been made and is in no state."""
    if new.line == "pos" and not any(_is_object(resource) for resource in before):
        # Its first object is a look at the engine, without which nothing else is made: an engine that was away from the
        # beginning has nothing of it, and need not be asked.
        return []
    manifest = known.get("manifest") or {}
    places = [manifest.get("region"), *((resource.get("inputs") or {}).get("region") for resource in before)]
    return list(dict.fromkeys(place for place in places if isinstance(place, str) and place))


def _is_object(resource: Mapping[str, Any]) -> bool:
    """Whether it is neither a component nor a provider."""
    return bool(resource.get("custom")) and not str(resource.get("type", "")).startswith("pulumi:providers:")


def _described(resource: Mapping[str, Any]) -> str:
    name = str(resource.get("urn", "")).rsplit("::", 1)[-1]
    return f"{resource.get('type')} {name} (id {resource.get('id')})"
