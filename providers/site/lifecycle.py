"""When a site is made, taken up, finished or left alone. `decide` is pure; the others call a driver.

A site is the tenant's where its site_config.json has the tenant's mark, or where the tenant's own note says that it was
being made and its database is the one that this tenant's site gets. Any other is somebody else's, and is not touched.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import StrEnum

from providers.errors import OwnershipError, ProviderError
from providers.site.errors import CommandError, UnfinishedError
from providers.site.names import ALWAYS
from providers.site.seam import App, Begun, Doing, Found, Heard, NewSite, SiteOperations


class Todo(StrEnum):
    """What is to be done about a site that is wanted."""

    CREATE = "create"
    REMAKE = "remake"
    """What an earlier run has left is removed first."""
    ADOPT = "adopt"
    LEAVE = "leave"
    """It is another's."""


def decide(found: Found, site: str, mark: str) -> Todo:
    """What to do where a site is wanted and that was found."""
    begun = found.begun
    if not found.made:
        if begun is None:
            return Todo.CREATE
        # Of another's there is a note and nothing yet: its run may be about to make it.
        return Todo.REMAKE if begun.mark == mark else Todo.LEAVE
    if not found.is_of(site, mark):
        return Todo.LEAVE
    # Unmarked, it was never finished, and nobody has ever used it.
    return Todo.ADOPT if found.mark else Todo.REMAKE


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """A site that is there: its apps, and whether this run has made it."""

    apps: tuple[App, ...]
    made: bool


def bring_up(ops: SiteOperations, new: NewSite, apps: list[str], heard: Heard) -> Up:
    """Makes the site, or takes it up where a run left it, and installs what is missing of `apps`.

    Either way its Administrator has the password that is given. What this call has made and could not finish is removed
    again; what it found stays. Raises ProviderError.
    """
    found = ops.look(new.site)
    todo = decide(found, new.site, new.mark)
    if todo is Todo.LEAVE:
        raise _not_ours(ops, new.site, found)
    if todo is Todo.ADOPT and _is_dropped(ops, new.site, found):
        todo = Todo.REMAKE
    if todo is Todo.ADOPT:
        there = complete(ops, new.site, new.mark, apps, heard)
        # Who takes it up knows the password that is given now, and maybe no other: a state may have been lost.
        ops.set_password(new.site, new.mark, new.admin_password, heard)
        return Up(apps=there, made=False)
    if todo is Todo.REMAKE:
        ops.drop(new.site, new.mark, heard)
    ops.new_site(new, heard)
    try:
        return Up(apps=complete(ops, new.site, new.mark, apps, heard), made=True)
    except ProviderError as error:
        # A creation that fails is in no state: nobody would remove what it has made. There is nothing in it to lose.
        with contextlib.suppress(ProviderError):
            ops.persistent().drop(new.site, new.mark, heard)
        raise error from None


def complete(ops: SiteOperations, site: str, mark: str, apps: list[str], heard: Heard) -> tuple[App, ...]:
    """Installs what is missing of `apps` on a site of this tenant. Raises ProviderError."""
    begun = _begun_here(ops, site, mark)
    there = ops.installed(site)
    again = begun.app if begun is not None and begun.doing is Doing.INSTALL else ""
    for app in apps:
        # One whose installation was cut off may be on bench's list already.
        if app == again or app in missing(apps, there):
            ops.install_app(site, mark, app, heard, again=app == again)
    if begun is not None:
        # Of a drop that has failed, too: the site is whole, and is wanted.
        ops.settle(site, mark)
    return ops.installed(site)


def _begun_here(ops: SiteOperations, site: str, mark: str) -> Begun | None:
    """What a run has left unfinished on a site that is there. Raises OwnershipError, UnfinishedError."""
    found = ops.look(site)
    if not found.made or found.mark != mark:
        raise _not_ours(ops, site, found)
    if found.half_restored:
        raise UnfinishedError(
            f"site {site!r}: a restore of it was cut off or has failed, so its data is not whole. Restore a backup "
            "again, then retry."
        )
    return found.begun


def seen(ops: SiteOperations, site: str, mark: str) -> tuple[App, ...] | None:
    """The apps of the tenant's site; None where it has none of that name. Raises ProviderError."""
    found = ops.look(site)
    return ops.installed(site) if found.made and found.mark == mark else None


def needs_backup(ops: SiteOperations, site: str, found: Found) -> bool:
    """Whether there is anything in a site of this tenant that its removal would lose. Raises ProviderError."""
    if not found.made or not found.mark or found.half_restored:
        # Before it was restored it was backed up, or somebody has said that it need not be.
        return False
    # Before a drop is begun the site is backed up; what was done in it since its drop failed is in no backup.
    return not _is_dropped(ops, site, found)


def _is_dropped(ops: SiteOperations, site: str, found: Found) -> bool:
    """Whether a drop of this tenant's site has got to its database, so that only the rest of it is there.

    Of one that answers for any other reason with an error, the data may be there: it is not made over, and not dropped
    without a backup.
    """
    if found.begun is None or found.begun.doing is not Doing.DROP:
        return False
    try:
        ops.installed(site)
    except CommandError as error:
        return error.gone
    return False


def missing(wanted: list[str], there: tuple[App, ...]) -> list[str]:
    """What of the wanted apps is not installed."""
    names = {app.name for app in there}
    return [app for app in wanted if app not in names]


def versions(apps: tuple[App, ...]) -> dict[str, str]:
    """The versions of installed apps, by their names."""
    return {app.name: app.version for app in apps}


def given_up(before: list[str], wanted: list[str]) -> list[str]:
    """The apps that are not wanted any more: taking one off a site deletes its data, which is done by hand."""
    return [app for app in before if app not in wanted and app != ALWAYS]


def _not_ours(ops: SiteOperations, site: str, found: Found) -> OwnershipError:
    whose = found.mark or (found.begun.mark if found.begun is not None else "") or "somebody else"
    if not found.made and found.begun is None:
        return OwnershipError(f"site {site!r}: it is gone from {ops.name}. Run refresh, then up, to make it again.")
    return OwnershipError(f"site {site!r} on {ops.name}: it belongs to {whose}. Choose another name.")
