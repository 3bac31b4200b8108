"""Whether a region's ERPNext can be worked with (POS-2): online, degraded, offline, or its wizard unfinished.

Decides what each failure means. A look takes up to three tries, with the waits of every call, and is kept for
CACHE_SECONDS: a service that is asked often asks the site seldom. It changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from providers import engine_check, engine_health
from providers.engine_health import Health, Looks, Status
from providers.erpnext.api import Site, site_of
from providers.erpnext.errors import ErpNextError, WizardUnfinishedError
from providers.errors import BudgetError, ProviderError, TimedOutError, UnreachableError

__all__ = ["Health", "Status", "demand_online", "health_of"]

CACHE_SECONDS = 45.0
CALL_SECONDS = 10.0
"""A site that takes longer for a ping is taken for degraded."""
WHAT = "the engine check"
_SETTINGS = "System Settings"
_NEEDED = ("Warehouse Type", "Transit")
"""What the wizard makes and no company can be without (erpnext issues 42309, 43261, 43262)."""


_looks = Looks()


def health_of(region: str, *, fresh: bool = False) -> Health:
    """How the region's site is, as of at most CACHE_SECONDS ago; `fresh` looks now.

    Raises ConfigurationError, and ErpNextError where the site does not accept our key.
    """
    site = site_of(region)
    kept = None if fresh else _looks.kept(site.server, CACHE_SECONDS)
    if kept is not None:
        return kept
    # Not counted: who asks may be a service, which is no run, and never ends.
    return _looked(dataclasses.replace(site, api=dataclasses.replace(site.api, meter=None)))


def demand_online(health: Health) -> None:
    """Raises EngineOfflineError, EngineDegradedError or WizardUnfinishedError."""
    engine_health.demand_online(health, unfinished=WizardUnfinishedError)


class EngineCheckProvider(engine_check.EngineCheckProvider):
    engine = "erpnext"

    def looked(self, region: str) -> Mapping[str, Any]:
        found = _looked(site_of(region))
        demand_online(found)
        return {"time_zone": found.time_zone}


class EngineCheck(Resource, module="tenantry", name="ErpNextEngineCheck"):
    """Stands only where the site is online and set up. With a new `revision` it is looked at again."""

    ready: pulumi.Output[bool]
    time_zone: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        region: str,
        revision: pulumi.Input[Any] = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"region": region, "revision": revision, "ready": True, "time_zone": None}
        super().__init__(EngineCheckProvider(), name, props, opts)


def _looked(site: Site) -> Health:
    return _looks.take(site.server, lambda: _look(site))


def _look(site: Site) -> Health:
    quick = dataclasses.replace(site, api=dataclasses.replace(site.api, seconds=CALL_SECONDS))
    try:
        quick.method("ping", what=WHAT)
        settings = _settings(quick)
        finished = _finished(quick, settings)
    except TimedOutError:
        words = f"{WHAT}: {site.api.name} takes requests and does not answer within {CALL_SECONDS:g} s: it is degraded."
        return Health(status=Status.DEGRADED, words=f"{words} See its load and its workers, then retry.")
    except UnreachableError as error:
        return Health(status=Status.OFFLINE, words=f"{error} It is offline.")
    except ErpNextError as error:
        if error.status in {401, 403}:
            raise
        return Health(status=Status.DEGRADED, words=f"{error} It is degraded.")
    except BudgetError:
        raise
    except ProviderError as error:
        return Health(status=Status.DEGRADED, words=str(error))
    zone = str(settings.get("time_zone") or "")
    if finished:
        return Health(status=Status.ONLINE, time_zone=zone)
    words = (
        f"{WHAT}: the set-up wizard of {site.api.name} was never finished, so that it lacks what every company needs, "
        f"such as the {_NEEDED[0]} {_NEEDED[1]}. Sign in there once and finish it, then retry."
    )
    return Health(status=Status.UNFINISHED, words=words, time_zone=zone)


def _settings(site: Site) -> dict[str, Any]:
    """System Settings, as far as our user may read them."""
    try:
        return site.get(_SETTINGS, _SETTINGS, what=WHAT) or {}
    except ErpNextError as error:
        if error.status != 403:
            raise
        return {}


def _finished(site: Site, settings: dict[str, Any]) -> bool:
    said = settings.get("setup_complete")
    if said is None:
        return site.get(*_NEEDED, what=WHAT) is not None
    return str(said) not in {"0", "", "False", "false"}
