"""What a host is asked about a bench's files, and what it answers, as data. Pure: `host_files` does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from providers.site.names import MARK_KEY, database_name
from providers.site.seam import Begun, Doing, Found


def note(begun: Begun | None) -> dict[str, Any]:
    """Writes down what is begun, or that it is done."""
    row = None if begun is None else {"mark": begun.mark, "doing": begun.doing, "app": begun.app}
    return {"do": "note", "begun": row}


def mark(mark: str) -> dict[str, Any]:
    """Writes into a site's configuration whose it is."""
    return {"do": "configure", "values": {MARK_KEY: mark}}


def keys_of(source: str, keys: Sequence[str]) -> dict[str, Any]:
    """Brings these values of the configuration in the file `source` into a site's; what that one has not stays."""
    return {"do": "configure", "source": source, "keys": list(keys)}


def unarchive(site: str, mark: str) -> dict[str, Any]:
    """Deletes what drop-site has moved away of a tenant's site."""
    return {"do": "unarchive", "key": MARK_KEY, "mark": mark, "database": database_name(mark, site)}


def found_in(seen: Mapping[str, Any]) -> Found:
    """What a look has found."""
    begun = seen["begun"]
    return Found(
        made=bool(seen["made"]),
        mark=str(seen["mark"]),
        database=str(seen["database"]),
        begun=Begun(mark=begun["mark"], doing=Doing(begun["doing"]), app=begun["app"]) if begun else None,
    )
