"""Sites by bench commands, on this machine, by SSH or in a container.

Decides what each command is called with, what is noted before it, and what is cleaned up after it. The database name of
a new site is chosen here, and is the tenant's alone: so a site that was cut off before it was marked is known for ours,
and one that somebody else made meanwhile is not. Passwords are answers to what bench asks, never arguments.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from providers.errors import OwnershipError, ProviderError
from providers.masking import masked
from providers.site import requests
from providers.site.errors import BackupError, BusyError, CommandError, SiteError
from providers.site.host import Host
from providers.site.names import MARK_KEY, checked_site, database_name
from providers.site.output import (
    ADMIN_ASKED,
    ROOT_ASKED,
    apps_in,
    backup_paths,
    failure,
    is_refused,
    last_words,
    progress_in,
)
from providers.site.seam import App, Begun, Doing, Found, Heard, Kind, LocalFile, NewSite, SiteFile
from providers.site_backend import SiteSeconds

_KEPT_LINES = 400
_BACKUP_KEY = "backup_encryption_key"
_ENCRYPTION_KEYS = ("encryption_key", _BACKUP_KEY)
"""What a site's encrypted fields and backups cannot be read without."""


def _nobody(_progress: object) -> None:
    """Hears of no progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """`command` is bench itself, `root_user` the database server's. `going` says no when all is to be stopped."""

    host: Host
    command: str = "bench"
    root_user: str = "root"
    root_password: str = field(default="", repr=False)
    seconds: SiteSeconds = field(default_factory=SiteSeconds)
    going: Callable[[], bool] = lambda: True

    @property
    def name(self) -> str:
        return self.host.name

    def persistent(self) -> Bench:
        return replace(self, going=lambda: True)

    # ------------------------------------------------------------------ what is there

    def look(self, site: str) -> Found:
        return requests.found_in(self._ask("look", site, key=MARK_KEY))

    def installed(self, site: str) -> tuple[App, ...]:
        return apps_in(self._bench(site, "list-apps", (*_at(site), "list-apps"), _nobody, seconds=self.seconds.look))

    # ------------------------------------------------------------------ making

    def new_site(self, new: NewSite, heard: Heard) -> None:
        database = ("--db-name", database_name(new.mark, new.site))
        words = (Doing.NEW, new.site, *database, "--db-root-username", self.root_user)
        answers = ((ADMIN_ASKED, new.admin_password), *self._root())
        first = requests.note(Begun(mark=new.mark, doing=Doing.NEW))
        then = (requests.mark(new.mark), requests.note(None))
        limit = self.seconds.create
        try:
            self._bench(new.site, Doing.NEW, words, heard, seconds=limit, answers=answers, first=[first], then=then)
        except ProviderError as error:
            self._undo(new, error)
            raise

    def _undo(self, new: NewSite, error: ProviderError) -> None:
        """Takes away what a failed new-site leaves. Raises OwnershipError where it is somebody else's, made meanwhile.

        Where that fails, too, the error says what is left; the note stays, and the next run takes it up.
        """
        if isinstance(error, BusyError):
            return  # nothing was begun
        # Whoever wants no more of the rest still wants nothing left behind.
        rest = self.persistent()
        try:
            found = rest.look(new.site)
            if found.made and not found.is_of(new.site, new.mark):
                self._note(new.site, None)
                raise OwnershipError(
                    f"{_what(new.site)}: somebody else has made it on {self.name} meanwhile. Choose another name."
                )
            rest.drop(new.site, new.mark, _nobody)
        except OwnershipError as other:
            raise other from None
        except ProviderError as left:
            raise SiteError(
                f"{error} And what it has left could not be removed: {left} The next run tries again; by hand, remove "
                f"the folder sites/{new.site} and the database {database_name(new.mark, new.site)}."
            ) from None

    def install_app(self, site: str, mark: str, app: str, heard: Heard, *, again: bool = False) -> None:
        self._mine(site, mark)
        words = (*_at(site), Doing.INSTALL, app, *(("--force",) if again else ()))
        first = requests.note(Begun(mark=mark, doing=Doing.INSTALL, app=app))
        limit = self.seconds.install
        self._bench(
            site, f"{Doing.INSTALL} {app}", words, heard, seconds=limit, first=[first], then=[requests.note(None)]
        )

    def set_password(self, site: str, mark: str, password: str, heard: Heard) -> None:
        self._mine(site, mark)
        # Versions before 15 demand the argument; every version asks where it is empty.
        words, answers = (*_at(site), "set-admin-password", ""), ((ADMIN_ASKED, password),)
        self._bench(site, "set-admin-password", words, heard, seconds=self.seconds.look, answers=answers)

    def settle(self, site: str, mark: str) -> None:
        self._mine(site, mark)
        self._note(site, None)

    # ------------------------------------------------------------------ backups

    def backup(self, site: str, heard: Heard) -> tuple[SiteFile, ...]:
        said = self._bench(site, "backup", (*_at(site), "backup", "--with-files"), heard, seconds=self.seconds.backup)
        try:
            paths = backup_paths(said)
        except BackupError as error:
            raise BackupError(
                f"{_what(site)}: {error}. See what `bench --site {site} backup --with-files` writes there, and look at "
                f"the disk's free space and at the rights to the site's files on {self.name}."
            ) from None
        answer = self._ask("digests", site, seconds=self.seconds.backup, paths=list(paths.values()))
        if cut := answer["cut"]:
            # Tried again and again, it would fill what is left of the disk.
            with contextlib.suppress(ProviderError):
                self._ask("remove", "", paths=list(paths.values()))
            raise BackupError(
                f"{_what(site)}: what bench has written is not whole ({'; '.join(cut)}). Look at the disk's free space "
                f"and at the database server on {self.name}, then retry."
            )
        rows = answer["rows"]
        return tuple(
            SiteFile(kind=kind, path=path, size=int(size), sha256=str(digest))
            for (kind, path), (size, digest) in zip(paths.items(), rows, strict=True)
        )

    @contextlib.contextmanager
    def reading(self, file: SiteFile) -> Iterator[BinaryIO]:
        with self.host.reading(file.path, file.path, seconds=self.seconds.backup, going=self.going) as stream:
            yield stream

    def forget(self, files: Sequence[SiteFile]) -> None:
        if files:
            self._ask("remove", "", paths=[file.path for file in files])

    def restore(self, site: str, mark: str, files: Sequence[LocalFile], heard: Heard, *, migrate: bool) -> None:
        before = self._mine(site, mark).begun
        first = [requests.note(Begun(mark=mark, doing=Doing.RESTORE))]
        try:
            there = {file.kind: self._sent(site, file) for file in files}
            words = [*_at(site), Doing.RESTORE, there[Kind.DATABASE], "--force", "--db-root-username", self.root_user]
            for kind in (Kind.PUBLIC, Kind.PRIVATE):
                words += [f"--with-{kind}-files", there[kind]] if kind in there else []
            if Kind.CONFIG in there:
                # Bench deciphers an encrypted backup by the key in the site's configuration; one made anew has another.
                first.insert(0, requests.keys_of(there[Kind.CONFIG], (_BACKUP_KEY,)))
            limit = self.seconds.restore
            try:
                self._bench(site, Doing.RESTORE, words, heard, seconds=limit, answers=self._root(), first=first)
            except CommandError as error:
                if error.refused:
                    # It is as whole as before: left noted, nobody would back it up. Where that fails it stays noted,
                    # which loses nothing but backups.
                    with contextlib.suppress(ProviderError):
                        self._note(site, before)
                raise
            if Kind.CONFIG in there:
                self._ask(site=site, **requests.keys_of(there[Kind.CONFIG], _ENCRYPTION_KEYS))
            if migrate:
                self._bench(site, "migrate", (*_at(site), "migrate"), heard, seconds=limit)
        finally:
            with contextlib.suppress(ProviderError):
                self._ask("remove", site)
        self._note(site, None)

    def _sent(self, site: str, file: LocalFile) -> str:
        more = {"site": site, "name": file.path.name, "size": file.size, "sha256": file.sha256}
        return self.host.send(file.path, _what(site), seconds=self.seconds.restore, going=self.going, **more)

    # ------------------------------------------------------------------ dropping

    def drop(self, site: str, mark: str, heard: Heard) -> None:
        found = self._mine(site, mark)
        first = requests.note(Begun(mark=mark, doing=Doing.DROP))
        archived = requests.unarchive(site, mark)
        if found.database:
            words = (Doing.DROP, site, "--no-backup", "--force", "--db-root-username", self.root_user)
            limit, then = self.seconds.drop, (archived, requests.note(None))
            self._bench(site, Doing.DROP, words, heard, seconds=limit, answers=self._root(), first=[first], then=then)
            if self.look(site).made:
                raise SiteError(
                    f"{_what(site)}: drop-site says that it has succeeded, but its folder is still there. Look at it "
                    f"on {self.name}, then retry."
                )
        else:
            for each in (first, {"do": "unmake"}, archived, requests.note(None)):
                self._ask(site=site, **each)

    # ------------------------------------------------------------------ how

    def _mine(self, site: str, mark: str) -> Found:
        """What is there. Raises OwnershipError where it is not this tenant's, so that no command touches it."""
        found = self.look(site)
        if found.made and not found.is_of(site, mark):
            raise OwnershipError(
                f"{_what(site)}: it belongs to {found.mark or 'somebody else'}. Nothing was done to it."
            )
        return found

    def _root(self) -> tuple[tuple[str, str], ...]:
        return ((ROOT_ASKED, self.root_password),) if self.root_password else ()

    def _ask(self, do: str, site: str, *, seconds: float | None = None, **more: Any) -> dict[str, Any]:
        given = {"site": checked_site(site) if site else "", **more}
        return self.host.ask(do, _what(site) if site else self.name, seconds=seconds or self.seconds.look, **given)

    def _note(self, site: str, begun: Begun | None) -> None:
        self._ask(site=site, **requests.note(begun))

    def _bench(
        self,
        site: str,
        doing: str,
        words: Sequence[str],
        heard: Heard,
        *,
        seconds: float,
        answers: Sequence[tuple[str, str]] = (),
        first: Sequence[Mapping[str, Any]] = (),
        then: Sequence[Mapping[str, Any]] = (),
    ) -> list[str]:
        """The lines that a command wrote. Raises ProviderError explaining how it ended."""
        secrets = [answer for _, answer in answers] + ([self.root_password] if self.root_password else [])
        lines: list[str] = []

        def said(line: str) -> None:
            lines.append(masked(line, secrets))
            del lines[:-_KEPT_LINES]
            if progress := progress_in(doing, lines[-1]):
                heard(progress)

        command = [self.command, *map(str, words)]
        given: dict[str, Any] = {
            "site": checked_site(site),
            "command": command,
            "answers": [list(pair) for pair in answers],
        }
        given |= {"first": list(first), "then": list(then)}
        ended = self.host.heard("run", _what(site), said, seconds=seconds, going=self.going, **given)
        if ended["code"] == 0 and not ended["ended"]:
            return lines
        what, words_said = f"{_what(site)}: {doing} on {self.name}", last_words(lines, secrets)
        # Of what has said more nobody knows how it began.
        refused = len(lines) < _KEPT_LINES and is_refused(ended, lines, self.root_user)
        raise failure(what, doing, ended, seconds, words_said, refused=refused)


def _at(site: str) -> tuple[str, str]:
    return ("--site", site)


def _what(site: str) -> str:
    return f"site {site!r}"
