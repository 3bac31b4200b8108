"""What a tenant is after a backup or a restore, and what a restored site lacks. Pure.

Decides that neither wipes the mark of another run that broke off: only an `up` looks for what that run has left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

_HARMLESS = frozenset({"backup", "refresh"})
"""What changes nothing of a tenant, wherever it was cut off."""

BROKE_OFF = "a run before this one has failed or was cut off: the tenant stays failed until an `up` succeeds"
"""What is said where nothing is wrong with the backup or the restore."""


def broke_off(*, failed: bool, dead: Iterable[str], operation: str, half: bool = False) -> bool:
    """Whether the tenant stays failed, though `operation`, a backup or a restore, has succeeded.

    `failed` is what the tenant was; `dead` are the operations of runs that were found cut off; `half` says that the
    site was half restored, which is made whole by a restore.
    """
    restores = operation == "restore"
    spared = _HARMLESS | {"restore"} if restores else _HARMLESS
    return any(one not in spared for one in dead) or (failed and not (restores and half))


def lacking(wanted: Sequence[str], there: Collection[str]) -> str | None:
    """What is said where a backup is of before some of the `wanted` apps; None where it has them all."""
    missing = [app for app in wanted if app not in there]
    if not missing:
        return None
    them = "it" if len(missing) == 1 else "them"
    # Its state still says that they are there: without a refresh `up` finds nothing to do.
    return f"this backup is of before {', '.join(missing)}: `tenantry refresh`, then `up`, installs {them} again"
