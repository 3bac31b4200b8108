"""Whether a region's Odoo can be worked with (POS-2): online, degraded, offline, or without what a till needs.

Decides what each failure means. A look takes up to three tries, with the waits of every call, and is kept for
CACHE_SECONDS: a service that is asked often asks the server seldom. It changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from providers import engine_check
from providers.engine_health import Health, Looks, Status, demand_online
from providers.errors import BudgetError, ProviderError, TimedOutError, UnreachableError
from providers.odoo.api import Odoo, odoo_at
from providers.odoo.errors import DeniedError, OdooError

CACHE_SECONDS = 45.0
CALL_SECONDS = 10.0
"""A server that takes longer is taken for degraded."""
WHAT = "the engine check"
LEAST = 17
"""Before this version charts of accounts were loaded in another way."""
MODULES = ("account", "point_of_sale", "stock")
_looks = Looks()


def health_of(region: str, *, fresh: bool = False) -> Health:
    """How the region's Odoo is, as of at most CACHE_SECONDS ago; `fresh` looks now.

    Raises ConfigurationError, and DeniedError where it does not accept our login.
    """
    odoo = odoo_at(region)
    kept = None if fresh else _looks.kept(odoo.server, CACHE_SECONDS)
    if kept is not None:
        return kept
    # Not counted: who asks may be a service, which is no run, and never ends.
    return _looked(dataclasses.replace(odoo, api=dataclasses.replace(odoo.api, meter=None)))


class EngineCheckProvider(engine_check.EngineCheckProvider):
    engine = "odoo"

    def looked(self, region: str) -> Mapping[str, Any]:
        demand_online(_looked(odoo_at(region)))
        return {}


class EngineCheck(Resource, module="tenantry", name="OdooEngineCheck"):
    """Stands only where the server is online and has what a till needs. With a new `revision` it is looked at again."""

    ready: pulumi.Output[bool]

    def __init__(
        self,
        name: str,
        *,
        region: str,
        revision: pulumi.Input[Any] = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(EngineCheckProvider(), name, {"region": region, "revision": revision, "ready": True}, opts)


def _looked(odoo: Odoo) -> Health:
    return _looks.take(odoo.server, lambda: _look(odoo))


def _look(odoo: Odoo) -> Health:
    quick = dataclasses.replace(odoo, api=dataclasses.replace(odoo.api, seconds=CALL_SECONDS))
    try:
        lacking = _lacking(quick)
    except TimedOutError:
        words = f"{WHAT}: {odoo.api.name} takes requests and does not answer within {CALL_SECONDS:g} s: it is degraded."
        return Health(status=Status.DEGRADED, words=f"{words} See its load and its workers, then retry.")
    except UnreachableError as error:
        return Health(status=Status.OFFLINE, words=f"{error} It is offline.")
    except (DeniedError, BudgetError):
        raise
    except OdooError as error:
        return Health(status=Status.DEGRADED, words=f"{error} It is degraded.")
    except ProviderError as error:
        return Health(status=Status.DEGRADED, words=str(error))
    if lacking:
        return Health(status=Status.UNFINISHED, words=f"{WHAT}: {odoo.api.name} {lacking}")
    return Health(status=Status.ONLINE)


def _lacking(odoo: Odoo) -> str:
    """What has to be done there first; empty where nothing has."""
    version, shown = odoo.version(what=WHAT, fresh=True)
    if version < LEAST:
        return f"is version {shown}, and {LEAST} is the least that tenants are made on. Upgrade it."
    odoo.uid(what=WHAT, fresh=True)
    domain = [("name", "in", list(MODULES)), ("state", "=", "installed")]
    there = {row["name"] for row in odoo.search("ir.module.module", domain, ["name"], what=WHAT)}
    missing = [name for name in MODULES if name not in there]
    if missing:
        return f"lacks the modules {', '.join(missing)}. Install Point of Sale in its Apps, then retry."
    return ""
