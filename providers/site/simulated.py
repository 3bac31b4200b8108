"""Sites that are folders: what bench would leave of them, without a database. For demos and for the tests of others.

It is built from facts/erpnext.md, "Site lifecycle", which is a reading: an existing folder is refused, drop-site moves
the folder to archived/sites, a backup is four files. Its database is a JSON file, `apps` in it what is installed, and
`admin` a digest of the Administrator's password. The same contract suite holds it and the driver of bench.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from providers.errors import OwnershipError, ProviderError
from providers.site import host_files, requests
from providers.site.errors import CommandError, SiteError, StoppedError
from providers.site.names import ALWAYS, MARK_KEY, checked_site, database_name
from providers.site.seam import (
    App,
    Begun,
    Doing,
    Found,
    Heard,
    Kind,
    LocalFile,
    NewSite,
    Progress,
    SiteFile,
)

VERSION = "15.0.0"
_STEPS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """`seconds` is how long each command takes. `apps` are those that the bench has; without any, every app."""

    folder: Path
    seconds: float = 0.0
    apps: frozenset[str] = frozenset()
    going: Callable[[], bool] = lambda: True

    @property
    def name(self) -> str:
        return f"the simulated bench {self.folder}"

    def persistent(self) -> Simulated:
        return replace(self, going=lambda: True)

    # ------------------------------------------------------------------ what is there

    def look(self, site: str) -> Found:
        return requests.found_in(self._files("look", site, key=MARK_KEY))

    def installed(self, site: str) -> tuple[App, ...]:
        return tuple(App(name=name, version=VERSION) for name in self._database(site)["apps"])

    # ------------------------------------------------------------------ making

    def new_site(self, new: NewSite, heard: Heard) -> None:
        self._note(new.site, Begun(mark=new.mark, doing=Doing.NEW))
        folder = self._site(new.site)
        if folder.exists():
            self._note(new.site, None)
            raise CommandError(f"site {new.site!r}: {self.name} has it already. Choose another name.", code=1)
        try:
            for part in ("private/backups", "private/files", "public/files", "locks"):
                (folder / part).mkdir(parents=True)
            host_files.write(
                folder / "site_config.json", json.dumps({"db_name": database_name(new.mark, new.site)}), 0o600
            )
            self._write(new.site, {"apps": [ALWAYS], "rows": {}, "admin": _digest(new.admin_password.encode())})
            self._takes(new.site, Doing.NEW, f"Updating DocTypes for {ALWAYS}", heard)
            self._files(site=new.site, **requests.mark(new.mark))
        except ProviderError:
            self.persistent().drop(new.site, new.mark, lambda _progress: None)
            raise
        self._note(new.site, None)

    def install_app(self, site: str, mark: str, app: str, heard: Heard, *, again: bool = False) -> None:
        self._mine(site, mark)
        self._note(site, Begun(mark=mark, doing=Doing.INSTALL, app=app))
        if self.apps and app not in self.apps:
            raise CommandError(f"site {site!r}: install-app {app}: {self.name} has no such app.", code=1)
        self._takes(site, Doing.INSTALL, f"Updating DocTypes for {app}", heard)
        data = self._database(site)
        if again or app not in data["apps"]:
            self._write(site, {**data, "apps": [*(name for name in data["apps"] if name != app), app]})
        self._note(site, None)

    def set_password(self, site: str, mark: str, password: str, heard: Heard) -> None:
        self._mine(site, mark)
        self._takes(site, "set-admin-password", "Setting the Administrator's password", heard)
        self._write(site, {**self._database(site), "admin": _digest(password.encode())})

    def settle(self, site: str, mark: str) -> None:
        self._mine(site, mark)
        self._note(site, None)

    # ------------------------------------------------------------------ backups

    def backup(self, site: str, heard: Heard) -> tuple[SiteFile, ...]:
        data = self._database(site)
        self._takes(site, "backup", "Taking a backup", heard)
        folder = self._site(site)
        stem = f"{datetime.now(UTC):%Y%m%d_%H%M%S}-{site.replace('.', '_')}"
        parts = {
            Kind.CONFIG: (f"{stem}-site_config_backup.json", (folder / "site_config.json").read_bytes()),
            Kind.DATABASE: (f"{stem}-database.sql.gz", gzip.compress(json.dumps(data).encode())),
            Kind.PUBLIC: (f"{stem}-files.tar", _packed(folder / "public/files")),
            Kind.PRIVATE: (f"{stem}-private-files.tar", _packed(folder / "private/files")),
        }
        rows = []
        for kind, (name, content) in parts.items():
            (folder / "private/backups" / name).write_bytes(content)
            path = f"./{site}/private/backups/{name}"
            rows.append(SiteFile(kind=kind, path=path, size=len(content), sha256=_digest(content)))
        return tuple(rows)

    @contextlib.contextmanager
    def reading(self, file: SiteFile) -> Iterator[BinaryIO]:
        with (self.folder / "sites" / file.path).open("rb") as stream:
            yield stream

    def forget(self, files: Sequence[SiteFile]) -> None:
        self._files("remove", "", paths=[file.path for file in files])

    def restore(self, site: str, mark: str, files: Sequence[LocalFile], heard: Heard, *, migrate: bool) -> None:
        self._mine(site, mark)
        self._note(site, Begun(mark=mark, doing=Doing.RESTORE))
        given = {file.kind: file.path for file in files}
        self._takes(site, "migrate" if migrate else Doing.RESTORE, "Restoring Database file", heard)
        self._write(site, json.loads(gzip.decompress(given[Kind.DATABASE].read_bytes())))
        for kind, place in ((Kind.PUBLIC, "public/files"), (Kind.PRIVATE, "private/files")):
            if kind in given:
                _unpacked(given[kind], self._site(site) / place)
        self._note(site, None)

    # ------------------------------------------------------------------ dropping

    def drop(self, site: str, mark: str, heard: Heard) -> None:
        self._mine(site, mark)
        self._note(site, Begun(mark=mark, doing=Doing.DROP))
        if self._site(site).exists():
            self._takes(site, Doing.DROP, "Dropping site database and user", heard)
            archived = self.folder / "archived" / "sites"
            archived.mkdir(parents=True, exist_ok=True)
            taken = {path.name for path in archived.iterdir()}
            name = next(name for count in range(10_000) if (name := f"{site}{count or ''}") not in taken)
            self._site(site).rename(archived / name)
        self._files(site=site, **requests.unarchive(site, mark))
        self._note(site, None)

    # ------------------------------------------------------------------ how

    def _mine(self, site: str, mark: str) -> None:
        found = self.look(site)
        if found.made and not found.is_of(site, mark):
            raise OwnershipError(
                f"site {site!r}: it belongs to {found.mark or 'somebody else'}. Nothing was done to it."
            )

    def _takes(self, site: str, doing: str, stage: str, heard: Heard) -> None:
        """As long as the command takes, telling how far it is."""
        for step in range(1, _STEPS + 1):
            if not self.going():
                raise StoppedError(f"site {site!r}: {doing} on {self.name} was stopped, as it was asked to be.")
            time.sleep(self.seconds / _STEPS)
            heard(Progress(doing=doing, stage=stage, percent=100 * step // _STEPS))

    def _site(self, site: str) -> Path:
        return self.folder / "sites" / checked_site(site)

    def _database(self, site: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self._site(site) / "database.json").read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            gone = isinstance(error, FileNotFoundError)
            raise CommandError(f"site {site!r}: {self.name} has no database of it.", code=1, gone=gone) from None

    def _write(self, site: str, data: dict[str, Any]) -> None:
        host_files.write(self._site(site) / "database.json", json.dumps(data), 0o600)

    def _note(self, site: str, begun: Begun | None) -> None:
        self._files(site=site, **requests.note(begun))

    def _files(self, do: str, site: str, **more: Any) -> dict[str, Any]:
        (self.folder / "sites").mkdir(parents=True, exist_ok=True)
        given = {"bench": str(self.folder), "site": checked_site(site) if site else "", **more}
        try:
            return host_files.FILES[do](given)
        except (host_files.Refused, OSError) as error:
            raise SiteError(f"site {site!r}: {self.name} says: {error}.") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _packed(folder: Path) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)
    return held.getvalue()


def _unpacked(file: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    with tarfile.open(file) as tar:
        tar.extractall(folder, filter="data")
