"""What a refusal of Odoo means, in words: decided by the name of its exception, never by its text, which it translates.

Odoo answers 200 to what it refuses; the name is in `error.data.name`. Its traceback, in `debug`, is never shown.

RefusedError > OdooError > DeniedError, GoneError, InvalidError > InUseError
ProviderError > TillMissingError, SessionOpenError
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from providers.errors import ProviderError, RefusedError
from providers.masking import masked

_SHOWN = 300
PASSING = frozenset(
    {
        "psycopg2.errors.SerializationFailure",
        "psycopg2.errors.LockNotAvailable",
        "psycopg2.errors.DeadlockDetected",
        "psycopg2.extensions.TransactionRollbackError",
        "psycopg2.pool.PoolError",
    }
)
"""Failures of the moment, whose request Odoo has rolled back: each may be sent again."""


class OdooError(RefusedError):
    """Odoo has refused a request. `name` is its exception's, empty where something before Odoo answered."""

    def __init__(self, message: str, *, status: int, name: str = "") -> None:
        super().__init__(message, status=status)
        self.name = name

    @property
    def lost(self) -> bool:
        """Whether something before Odoo answered: the request may have been carried out, or still be."""
        return self.status >= 500 and not self.name

    @property
    def misused(self) -> bool:
        """Whether the method does not take what it was given: an error of Python's own, which nobody meant."""
        return self.name.startswith("builtins.")


class DeniedError(OdooError):
    """The login, or what it may do, is not enough."""


class GoneError(OdooError):
    """The record is not there any more."""


class InvalidError(OdooError):
    """What was sent breaks a rule: a constraint, a field that is missing, a name that is taken."""


class InUseError(InvalidError):
    """The record cannot go: others need it."""


class TillMissingError(ProviderError):
    """The point of sale that a session is to be opened for is not there."""


class SessionOpenError(ProviderError):
    """A session is open that stands in the way of another."""


_CLASSES: Mapping[str, type[OdooError]] = {
    "odoo.exceptions.AccessDenied": DeniedError,
    "odoo.exceptions.AccessError": DeniedError,
    "odoo.exceptions.MissingError": GoneError,
    "odoo.exceptions.UserError": InvalidError,
    "odoo.exceptions.ValidationError": InvalidError,
    "odoo.exceptions.RedirectWarning": InvalidError,
}
_WORDS: Mapping[str, str] = {
    "odoo.exceptions.AccessDenied": "does not accept the login. Put a valid API key of the region's user in {variable}",
    "odoo.exceptions.AccessError": "does not let the user of {variable} do that. Give that user the right Settings, "
    "and the managers' rights for Accounting, Inventory and Point of Sale",
    "odoo.exceptions.MissingError": "has no such record any more",
    "psycopg2.OperationalError": "cannot use that database. Correct the region's odoo.database",
    "werkzeug.exceptions.NotFound": "does not serve /jsonrpc. On new versions an administrator switches it on by the "
    "system parameter rpc.use_deprecated_services",
    **dict.fromkeys(PASSING, "is too busy at the moment. Retry later"),
}


def refusal(
    what: str,
    *,
    name: str,
    request: str,
    status: int,
    text: str,
    variable: str,
    secrets: Iterable[str] = (),
) -> OdooError:
    """The error for an answer of `status` with the body `text` to `request`, such as `res.company.load`.

    `name` is how errors call the server, `variable` is that of its key.
    """
    error = error_of(text)
    kind = exception_of(error)
    meaning = (_WORDS.get(kind) or _by_status(status)).format(variable=variable)
    said = " ".join(masked(_said(error), secrets).split())[:_SHOWN]
    shown = " ".join(filter(None, (kind or str(status), "to", request)))
    words = f"{what}: {name} {meaning} ({shown}){f': {said}' if said else ''}".rstrip(".")
    return _CLASSES.get(kind, OdooError)(f"{words}.", status=status, name=kind)


def parsed(text: str) -> Mapping[str, Any]:
    """An answer's body; empty where it is no JSON object, such as a page of HTML."""
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def error_of(text: str) -> Mapping[str, Any]:
    """What an answer says of a refusal; empty where it says none."""
    found = parsed(text).get("error")
    return found if isinstance(found, dict) else {}


def exception_of(error: Mapping[str, Any]) -> str:
    """The name of Odoo's exception; empty where it says none."""
    data = error.get("data")
    found = data.get("name") if isinstance(data, dict) else None
    return found if isinstance(found, str) else ""


def _by_status(status: int) -> str:
    # What a proxy in between answers names no exception.
    if status == 429:
        return "takes no more requests for now. Retry later"
    return "does not work at the moment" if status >= 500 else "refuses it"


def _said(error: Mapping[str, Any]) -> str:
    data = error.get("data")
    words = data.get("message") if isinstance(data, dict) else error.get("message")
    return words if isinstance(words, str) else ""
