"""What sites, apps, their databases and their backups are called. Pure."""

from __future__ import annotations

import hashlib
import re

from providers.errors import ConfigurationError

MARK_KEY = "tenantry_mark"
"""In a site's site_config.json: whose it is."""
ALWAYS = "frappe"
"""The app that every site has, which nobody installs."""
_SITE = re.compile(r"(?=.{1,100}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_APP = re.compile(r"[a-z][a-z0-9_]{0,63}")
_BENCHS_OWN = frozenset({"assets", "archived", "all"})
"""Folders of bench's own among its sites, and the word by which it means every site."""


def site_problem(site: object) -> str | None:
    """Why `site` cannot be a site's name; None where it can."""
    if isinstance(site, str) and site not in _BENCHS_OWN and _SITE.fullmatch(site):
        return None
    return f"{site!r} is no name for a site: give a host name in lower case, such as shop.example"


def apps_problem(apps: object) -> str | None:
    """Why these cannot be a site's apps; None where they can."""
    if not isinstance(apps, (list, tuple)):
        return "give a list of apps, such as [erpnext]"
    for app in apps:
        if not (isinstance(app, str) and _APP.fullmatch(app)):
            return f"{app!r} is no name of an app: give one such as erpnext"
    if ALWAYS in apps:
        return f"{ALWAYS} is in every site: leave it out"
    return "each app once" if len(set(apps)) < len(apps) else None


def checked_site(site: str) -> str:
    """`site`, which becomes a folder and an argument. Raises ConfigurationError."""
    if problem := site_problem(site):
        raise ConfigurationError(f"site: {problem}.")
    return site


def database_name(mark: str, site: str) -> str:
    """The database that a tenant's site gets: by it a site is known before it is marked. 17 characters, as Frappe's."""
    digest = hashlib.sha256(f"{mark}\n{site}".encode())
    return f"_{digest.hexdigest()[:16]}"


def backup_folder(mark: str, site: str) -> str:
    """Where the backups of a tenant's site are in a store: another tenant's site of the same name has another place."""
    return f"{site}-{hashlib.sha256(mark.encode()).hexdigest()[:12]}"
