"""Which tenants differ between two commits. Pure: reads what `git diff --name-status -z` says and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from automation.errors import InputError

_SETTINGS = "Pulumi."
_MANIFEST = ".yaml"
_REMOVED = "D"
_ADDED = "A"


class ChangeKind(StrEnum):
    """What happened to a tenant's manifest."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantChange:
    """A tenant whose manifest, or whose stack's own settings, were touched."""

    tenant: str
    kind: ChangeKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Tenants by name; and other files, which no tenant's name is on: they may concern all of them."""

    tenants: tuple[TenantChange, ...]
    others: tuple[str, ...] = ()


def changes_of(name_status: str, folder: str, there: Collection[str]) -> Changes:
    """The changes in `folder` (a path within the repository) and beside, where `there` are the tenants with a manifest.

    A manifest that was renamed is one removed and one added: the slug, and so the tenant, is another one.
    """
    kinds: dict[str, ChangeKind] = {}
    others: list[str] = []
    for letter, path in _entries(name_status):
        whole = PurePosixPath(path)
        inner = whole.relative_to(folder) if whole.is_relative_to(folder) else whole
        if len(inner.parts) != 1 or inner.suffix != _MANIFEST:
            others.append(path)
        elif inner.name.startswith(_SETTINGS):
            tenant = inner.name[len(_SETTINGS) : -len(_MANIFEST)]
            if tenant in there:
                kinds.setdefault(tenant, ChangeKind.CHANGED)
        else:
            kinds[inner.stem] = _kind(letter)
    rows = (TenantChange(tenant=tenant, kind=kind) for tenant, kind in sorted(kinds.items()))
    return Changes(tenants=tuple(rows), others=tuple(sorted(others)))


def every(there: Iterable[str]) -> Changes:
    """All tenants with a manifest, as if each had been touched."""
    rows = (TenantChange(tenant=tenant, kind=ChangeKind.CHANGED) for tenant in sorted(there))
    return Changes(tenants=tuple(rows))


def with_removed(changes: Changes, tenants: Iterable[str]) -> Changes:
    """`changes`, and `tenants` as removed where nothing else is said of them."""
    known = {one.tenant for one in changes.tenants}
    more = [TenantChange(tenant=name, kind=ChangeKind.REMOVED) for name in tenants if name not in known]
    rows = sorted((*changes.tenants, *more), key=lambda one: one.tenant)
    return Changes(tenants=tuple(rows), others=changes.others)


def _kind(letter: str) -> ChangeKind:
    if letter == _REMOVED:
        return ChangeKind.REMOVED
    return ChangeKind.ADDED if letter == _ADDED else ChangeKind.CHANGED


def _entries(name_status: str) -> Iterator[tuple[str, str]]:
    fields = name_status.split("\0")
    if fields and fields[-1] == "":
        fields.pop()
    if len(fields) % 2:
        raise InputError("git's list of changed files is not in pairs", hint="report this with your version of git")
    for letter, path in zip(fields[::2], fields[1::2], strict=True):
        yield letter[:1], path
