"""The driver and the store of a region, from its name. Decides nothing; secrets come from the backend's variables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from providers.backends import secret, site_of
from providers.errors import ConfigurationError
from providers.site.bench import Bench
from providers.site.host import host_of
from providers.site.seam import SiteOperations
from providers.site.simulated import Simulated
from providers.site.stores import FolderStore, Store
from providers.site_backend import BenchBackend, FileBackups, SiteBackend


def operations_of(region: str, *, going: Callable[[], bool] = lambda: True) -> SiteOperations:
    """The operations of a region's bench, which end where `going` says no. Raises ConfigurationError."""
    return operations(site_of(region), going=going)


def operations(backend: SiteBackend, *, going: Callable[[], bool] = lambda: True) -> SiteOperations:
    """The same, for a backend. Raises ConfigurationError where a variable of it is not set."""
    if not isinstance(backend, BenchBackend):
        return Simulated(folder=Path(backend.folder), seconds=backend.seconds_each, going=going)
    return Bench(
        host=host_of(
            backend.folder,
            python=backend.python,
            ssh=backend.ssh.arguments() if backend.ssh else None,
            docker=backend.docker.arguments() if backend.docker else None,
        ),
        command=backend.command,
        root_user=backend.db_root_user,
        root_password=secret(backend.db_root_password_from) if backend.db_root_password_from else "",
        seconds=backend.seconds,
        going=going,
    )


def store_of(region: str) -> Store:
    """Where a region's backups are kept. Raises ConfigurationError where it says nowhere."""
    backups = site_of(region).backups
    if backups is None:
        raise ConfigurationError(
            f"region {region!r} says of its site backend no place for backups. Add site.backups to it; or say "
            "backup_on_delete: false of a site whose data is to be lost with it."
        )
    if isinstance(backups, FileBackups):
        return FolderStore(folder=Path(backups.folder))
    # Late: boto3 takes a while to load.
    from providers.site.s3 import s3_store

    return s3_store(backups)
