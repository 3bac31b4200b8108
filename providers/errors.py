"""The providers' error tree. A message is one line: which object, why, and what to do. It never holds a secret.

ProviderError > ConfigurationError, UnreachableError > MissingDatabaseError, NoTokenError, TimedOutError,
EngineOfflineError; MissingTableError, OwnershipError, RefusedError, BudgetError, NotReadyError > EngineDegradedError,
EngineUnfinishedError

The dynamic provider host reports a traceback; its last line is the one that a reader is shown.
"""

from __future__ import annotations


class ProviderError(Exception):
    """Something that a provider could not do. `asked`: it may be done all the same, as the answer to it was lost."""

    asked = False


class ConfigurationError(ProviderError):
    """The environment does not say how to connect."""


class UnreachableError(ProviderError):
    """The server cannot be reached, or refuses the login."""


class MissingDatabaseError(UnreachableError):
    """The server is there, the database is not."""


class NoTokenError(UnreachableError):
    """It is the cluster that this process runs in, and the process was given no token of it."""


class TimedOutError(UnreachableError):
    """The server took the request, and gave no answer in time."""


class MissingTableError(ProviderError):
    """The database is there, a table or schema in it is not."""


class OwnershipError(ProviderError):
    """The object is there and is someone else's."""


class RefusedError(ProviderError):
    """The server's API has refused a request. `status` is its HTTP status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class NotReadyError(ProviderError):
    """What was made did not become ready within its time."""


class BudgetError(ProviderError):
    """The run has sent a server as many requests as it may."""


class EngineOfflineError(UnreachableError):
    """The engine that tenants are made on does not answer."""


class EngineDegradedError(NotReadyError):
    """The engine answers, and cannot be worked with now."""


class EngineUnfinishedError(NotReadyError):
    """The engine was never set up, so that what every tenant needs is not there."""
