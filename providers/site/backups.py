"""Backups of sites: taken, listed, checked, restored and cleared away, in any store.

Decides that a backup is there only with its manifest, which is written last, and that nothing is restored before all of
it was read and had the checksums that its manifest says. It belongs to a tenant: no other one sees it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

from providers.errors import OwnershipError, ProviderError
from providers.site.errors import BackupError, ChecksumError, StoppedError, UnfinishedError
from providers.site.lifecycle import versions
from providers.site.manifest import (
    MANIFEST,
    MOST_BYTES,
    Manifest,
    ManifestFile,
    backup_id,
    backups_in,
    is_whole,
    made_at,
    parsed,
    place_of,
)
from providers.site.retention import Keep, Kept, to_delete
from providers.site.seam import Found, Heard, LocalFile, Progress, SiteFile, SiteOperations
from providers.site.stores import Store

Going = Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Whose site it is. Only a site with this mark is backed up or restored."""

    site: str
    mark: str

    @property
    def what(self) -> str:
        return f"site {self.site!r}"


def take(
    ops: SiteOperations, store: Store, of: Tenant, *, now: datetime, heard: Heard, going: Going = lambda: True
) -> Manifest:
    """A backup of the site, in the store. Where it fails, nothing of it is left there. Raises ProviderError."""
    # A store that is away would cost a dump of the whole site, each time that this is tried again.
    store.demand()
    if _owned(ops, of).half_restored:
        # Kept as a whole one, it would drive those that are good out of the store.
        raise UnfinishedError(
            f"{of.what}: a restore of it was cut off or has failed, so its data is not whole, and is not backed up. "
            "Restore a backup again, then retry."
        )
    backup = backup_id(now)
    place = place_of(of.mark, of.site, backup)
    apps = versions(ops.installed(of.site))
    files = ops.backup(of.site, heard)
    put: list[str] = []
    try:
        for file in files:
            heard(Progress(doing="backup", stage=f"Keeping {file.kind}"))
            put.append(f"{place}{_name(file)}")
            _keep(ops, store, put[-1], file, going)
        rows = tuple(
            ManifestFile(kind=file.kind, name=_name(file), size=file.size, sha256=file.sha256) for file in files
        )
        manifest = Manifest(id=backup, site=of.site, mark=of.mark, made_at=now, apps=apps, files=rows)
        put.append(f"{place}{MANIFEST}")
        store.put(put[-1], io.BytesIO(manifest.model_dump_json(indent=1).encode()))
    except ProviderError:
        with contextlib.suppress(ProviderError):
            store.delete(put)
        raise
    finally:
        # Bench keeps some of its own; ours would fill its disk.
        with contextlib.suppress(ProviderError):
            ops.persistent().forget(files)
    return manifest


def backups_of(store: Store, of: Tenant) -> list[Kept]:
    """The tenant's backups of this site, oldest first; those that were cut off are not whole. Raises ProviderError."""
    place = place_of(of.mark, of.site)
    found = backups_in(store.keys(place), place)
    rows = [(made_at(backup), backup, is_whole(backup, keys, place)) for backup, keys in found.items()]
    kept = [Kept(id=backup, made_at=when, whole=whole) for when, backup, whole in rows if when]
    return sorted(kept, key=lambda one: one.id)


def manifest_of(store: Store, of: Tenant, backup: str) -> Manifest:
    """What a backup says of itself. Raises BackupError, also where it is another site's or another tenant's."""
    what = f"backup {backup!r} of {of.what} in {store.name}"
    if made_at(backup) is None:
        raise BackupError(f"{what}: that is no backup's id.")
    with tempfile.TemporaryDirectory(prefix="tenantry-backup-") as folder:
        path, place = Path(folder) / MANIFEST, place_of(of.mark, of.site)
        if not is_whole(backup, store.keys(f"{place}{backup}/"), place):
            raise BackupError(f"{what}: there is none, or it was cut off: it has no {MANIFEST}. Choose another backup.")
        store.fetch(f"{place}{backup}/{MANIFEST}", path)
        with path.open("rb") as handle:
            found = parsed(handle.read(MOST_BYTES), what)
    if (found.id, found.site, found.mark) != (backup, of.site, of.mark):
        raise BackupError(f"{what}: its manifest is another backup's. Choose another backup.")
    return found


def fetched(store: Store, of: Tenant, manifest: Manifest, folder: Path, going: Going = lambda: True) -> list[LocalFile]:
    """The files of a backup, in a folder here. Raises ChecksumError for one that is not what the manifest says."""
    place = place_of(of.mark, of.site, manifest.id)
    files = []
    for row in manifest.files:
        _check_going(going, of)
        path = folder / row.name
        store.fetch(f"{place}{row.name}", path)
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        if (path.stat().st_size, digest) != (row.size, row.sha256):
            raise ChecksumError(
                f"backup {manifest.id!r} of {of.what}: {row.name} in {store.name} is not what was kept there (its size "
                "or its checksum differs). Nothing was done. Choose another backup."
            )
        files.append(LocalFile(kind=row.kind, path=path, size=row.size, sha256=row.sha256))
    return files


def restore(
    ops: SiteOperations,
    store: Store,
    of: Tenant,
    backup: str,
    *,
    heard: Heard,
    going: Going = lambda: True,
    first: datetime | None = None,
    begins: Callable[[Manifest | None, bool], None] = lambda _before, _half: None,
) -> Manifest:
    """Puts the site back to what a backup holds, once all of that is here and right. Raises ProviderError.

    `first`: the moment for which what is there now is backed up before; None where nobody wants that. What an earlier
    restore has left half done is not. `begins` hears of that backup, or None, and whether the site was half restored,
    before it is touched.
    """
    manifest = manifest_of(store, of, backup)
    with tempfile.TemporaryDirectory(prefix="tenantry-restore-") as folder:
        files = fetched(store, of, manifest, Path(folder), going)
        half = _owned(ops, of).half_restored
        wanted = first if not half else None
        before = take(ops, store, of, now=wanted, heard=heard, going=going) if wanted is not None else None
        _check_going(going, of)
        # Of what is half there bench may not even tell its apps.
        now = {} if half else versions(ops.installed(of.site))
        changed = half or any(now.get(app) != version for app, version in manifest.apps.items() if version)
        begins(before, half)
        ops.restore(of.site, of.mark, files, heard, migrate=changed)
    return manifest


def clear(store: Store, of: Tenant, keep: Keep, *, now: datetime, since: datetime | None = None) -> Sequence[str]:
    """Deletes the backups that are to go; their ids. Raises ProviderError.

    Those made until `since` are of a tenant of the same name that was removed: they stay, and do not count.
    """
    place = place_of(of.mark, of.site)
    found = backups_in(store.keys(place), place)
    own = [one for one in backups_of(store, of) if since is None or one.made_at > since]
    gone = to_delete(own, keep, now)
    for backup in gone:
        # The manifest first: what is cut off here is no backup any more, and goes the next time.
        store.delete(sorted(found.get(backup, ()), key=lambda key: not key.endswith(f"/{MANIFEST}")))
    return gone


def _owned(ops: SiteOperations, of: Tenant) -> Found:
    """What is there. Raises OwnershipError where it is not this tenant's."""
    found = ops.look(of.site)
    if not found.made or found.mark != of.mark:
        raise OwnershipError(f"{of.what} on {ops.name}: there is none of this tenant. Nothing was done.")
    return found


def _keep(ops: SiteOperations, store: Store, key: str, file: SiteFile, going: Going) -> None:
    """Streams a file into the store. Raises ChecksumError where what came is not what bench has written."""
    with ops.reading(file) as stream:
        counted = _Counted(stream, going, file.path)
        store.put(key, cast("BinaryIO", counted))
    if (counted.size, counted.sha256) != (file.size, file.sha256):
        raise ChecksumError(
            f"{file.path} of {ops.name}: {counted.size} bytes came over with another checksum than its {file.size} "
            "bytes have there. Retry."
        )


class _Counted:
    """A stream that counts what is read of it, and ends where nobody wants more of it."""

    def __init__(self, stream: BinaryIO, going: Going, what: str) -> None:
        self._stream, self._going, self._what, self._digest = stream, going, what, hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def read(self, size: int = -1) -> bytes:
        if not self._going():
            raise StoppedError(f"{self._what}: its backup was stopped, as it was asked to be.")
        chunk = self._stream.read(size)
        self.size += len(chunk)
        self._digest.update(chunk)
        return chunk


def _check_going(going: Going, of: Tenant) -> None:
    if not going():
        raise StoppedError(f"{of.what}: its restore was stopped before anything was done to it.")


def _name(file: SiteFile) -> str:
    return file.path.rpartition("/")[2]
