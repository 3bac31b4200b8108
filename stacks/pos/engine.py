"""How the engine of a point of sale is now: asked of the site of its region, whichever engine that is (POS-2, POS-9).

Decides which answers a first run waits for: an engine that is offline or degraded comes back by itself. One whose
wizard was never finished, or that does not accept our key, wants a person, so that the run begins and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from providers.errors import ProviderError
from stacks.pos.manifest import PosManifest

ONLINE, DEGRADED, OFFLINE, UNFINISHED = "online", "degraded", "offline", "setup-unfinished"
REFUSED, UNKNOWN = "refused", "unknown"
STATUSES = (ONLINE, DEGRADED, OFFLINE, UNFINISHED, REFUSED, UNKNOWN)
PASSING = frozenset({OFFLINE, DEGRADED})
DEFAULT = "erpnext"
NAMES: Mapping[str, str] = {"erpnext": "ERPNext", "odoo": "Odoo"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHealth:
    """One of STATUSES, and in words what is wrong: nothing where it is online. Words hold no secret."""

    engine: str
    status: str
    words: str = ""

    @property
    def passes(self) -> bool:
        """Whether what is wrong is waited for."""
        return self.status in PASSING


def _erpnext(region: str, fresh: bool) -> tuple[str, str]:
    from providers.erpnext.health import health_of

    found = health_of(region, fresh=fresh)
    return str(found.status), found.words


def _odoo(region: str, fresh: bool) -> tuple[str, str]:
    from providers.odoo.health import health_of

    found = health_of(region, fresh=fresh)
    return str(found.status), found.words


_LOOKS: Mapping[str, Callable[[str, bool], tuple[str, str]]] = {"erpnext": _erpnext, "odoo": _odoo}


def health_of(engine: str, region: str, *, fresh: bool = False) -> EngineHealth:
    """How the engine of a region is, as of at most a minute ago; `fresh` looks now, which may take half a minute."""
    if engine not in _LOOKS:
        return EngineHealth(engine=engine, status=UNKNOWN, words=f"how {engine} is cannot be asked here")
    try:
        status, words = _LOOKS[engine](region, fresh)
    except ProviderError as error:
        return EngineHealth(engine=engine, status=REFUSED, words=str(error))
    # Which look it was is known to whoever asks here.
    return EngineHealth(engine=engine, status=status, words=words.removeprefix("the engine check: "))


def hold(manifest: PosManifest) -> str | None:
    """Why a run of the manifest had better wait, None where it need not. Looks now, and once.

    A turn of waiting holds a worker's slot, and is itself one try of many: it need not be three.
    """
    from providers.http import tried_once

    with tried_once():
        found = health_of(manifest.engine, manifest.region, fresh=True)
    return f"its engine is {found.status}: {found.words}" if found.passes else None


def regions_of(engine: str) -> tuple[str, ...]:
    """The regions that have the engine, in the order of their file. Raises ConfigurationError for a wrong one."""
    from providers.backends import parts_of, regions

    return tuple(name for name in regions() if getattr(parts_of(name), engine, None) is not None)
