"""The operations on sites, and what they give. `bench` and `simulated` are the drivers; one contract suite holds both.

Every operation has a time limit, and none touches a site that is not the tenant's. What it needs to know after a crash,
a driver writes beside the sites before it begins (`Begun`), and takes away when it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from providers.site.names import database_name

Heard = Callable[["Progress"], None]


class Doing(StrEnum):
    """What was being done to a site when it was noted. The words are bench's own."""

    NEW = "new-site"
    INSTALL = "install-app"
    RESTORE = "restore"
    DROP = "drop-site"


class Kind(StrEnum):
    """What is in a file of a backup. The words are those that bench prints."""

    CONFIG = "config"
    DATABASE = "database"
    PUBLIC = "public"
    PRIVATE = "private"


WORDS = {
    Kind.CONFIG: "the configuration",
    Kind.DATABASE: "the database",
    Kind.PUBLIC: "the public files",
    Kind.PRIVATE: "the private files",
}
"""What is in a file of a backup, in words. A backup has one of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a command is: its stage in its own words, `percent` (0 to 100) of that stage, None where it says none."""

    doing: str
    stage: str
    percent: int | None = None

    def __str__(self) -> str:
        return f"{self.doing}: {self.stage}" + ("" if self.percent is None else f" {self.percent} %")


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a run of the tenant `mark` had begun and not ended. `app` is the one being installed."""

    mark: str
    doing: Doing
    app: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is there under a site's name.

    `mark` is the one in its site_config.json and `database` the database named there; empty where it has none. `made`:
    there is a folder. Without one there may still be something begun.
    """

    made: bool
    mark: str = ""
    database: str = ""
    begun: Begun | None = None

    def is_of(self, site: str, mark: str) -> bool:
        """Whether it is this tenant's, finished or not."""
        if self.mark or self.begun is None:
            return bool(self.mark) and self.mark == mark
        return self.begun.mark == mark and self.database in {"", database_name(mark, site)}

    @property
    def half_restored(self) -> bool:
        """Whether a restore of it was cut off or has failed, so that its data is not whole."""
        return self.begun is not None and self.begun.doing is Doing.RESTORE


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An installed app; `version` is empty where bench tells none."""

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """A file of a backup where bench left it. `path` is below the sites' folder; `size` in bytes, `sha256` in hex."""

    kind: Kind
    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A file of a backup on this machine, known to be what its manifest says."""

    kind: Kind
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSite:
    """What a site is made with."""

    site: str
    mark: str
    admin_password: str = field(repr=False)


class SiteOperations(Protocol):
    """Sites of one bench. `name` is how messages call it. All raise ProviderError."""

    @property
    def name(self) -> str: ...

    def persistent(self) -> Self:
        """The same, which goes on where it is asked to stop: for cleaning up."""

    def look(self, site: str) -> Found:
        """What is there under that name. Runs no command of bench."""

    def installed(self, site: str) -> tuple[App, ...]:
        """The apps of a site, frappe among them."""

    def new_site(self, new: NewSite, heard: Heard) -> None:
        """Makes a site, and marks it. Where that fails, nothing of it is left, or the error says what is."""

    def install_app(self, site: str, mark: str, app: str, heard: Heard, *, again: bool = False) -> None:
        """Installs an app. `again`: an earlier run was cut off doing so, so what it has made is made over."""

    def set_password(self, site: str, mark: str, password: str, heard: Heard) -> None:
        """Gives the site's Administrator this password."""

    def settle(self, site: str, mark: str) -> None:
        """Takes the note of what was begun away: the site is as it is wanted."""

    def backup(self, site: str, heard: Heard) -> tuple[SiteFile, ...]:
        """Backs a site up with its files, where bench puts them."""

    def reading(self, file: SiteFile) -> AbstractContextManager[BinaryIO]:
        """A stream of one of them. At its end it raises where it was cut off."""

    def forget(self, files: Sequence[SiteFile]) -> None:
        """Deletes them where bench put them. Deleting what is gone succeeds."""

    def restore(self, site: str, mark: str, files: Sequence[LocalFile], heard: Heard, *, migrate: bool) -> None:
        """Puts a site back to what it was. `migrate`: its apps are of other versions than they were then."""

    def drop(self, site: str, mark: str, heard: Heard) -> None:
        """Drops a site, its database and its user; deletes its folder, wherever bench moved it. Gone is a success."""
