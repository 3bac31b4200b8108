"""What can go wrong with a site, beside what `providers.errors` has. A message is one line and holds no secret.

SiteError(ProviderError) > CommandError, TimeLimitError, StoppedError, BusyError, UnfinishedError,
BackupError > ChecksumError
"""

from __future__ import annotations

from providers.errors import ProviderError


class SiteError(ProviderError):
    """Something that could not be done to a site."""


class CommandError(SiteError):
    """A command of bench has failed. `code` is its exit code; negative: the signal that ended it.

    `refused`: it was certainly turned away before it had touched anything. `gone`: the site's database is not there, or
    knows the site no more.
    """

    def __init__(self, message: str, *, code: int, refused: bool = False, gone: bool = False) -> None:
        super().__init__(message)
        self.code, self.refused, self.gone = code, refused, gone


class TimeLimitError(SiteError):
    """A command took longer than it may, and was ended with all that it had started."""


class StoppedError(SiteError):
    """The caller wanted no more of it; what was running was ended with all that it had started."""


class BusyError(SiteError):
    """Another command is at work on this site."""


class UnfinishedError(SiteError):
    """An earlier run was cut off, and going on from there would lose data or hide that some is lost."""


class BackupError(SiteError):
    """A backup is not there, not whole, or could not be taken."""


class ChecksumError(BackupError):
    """A file of a backup is not what its manifest says."""
