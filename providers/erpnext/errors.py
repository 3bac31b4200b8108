"""What a refusal of ERPNext means, in words: decided by its status and `exc_type`, never by its text, which it
translates. The text is shown, without HTML and without secrets.

RefusedError > ErpNextError > TakenError, StaleError, LinkedError, MissingLinkError
UnreachableError > EngineOfflineError; NotReadyError > EngineDegradedError; EngineUnfinishedError >
WizardUnfinishedError
ProviderError > ProfileMissingError, SessionOpenError
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from providers.errors import EngineDegradedError, EngineOfflineError, EngineUnfinishedError, ProviderError, RefusedError
from providers.masking import masked

__all__ = ["EngineDegradedError", "EngineOfflineError"]

_SHOWN = 300
_TAGS = re.compile(r"<[^>]*>")

PASSING = frozenset({"QueryDeadlockError", "QueryTimeoutError", "DocumentLockedError", "InReadOnlyMode"})
"""Failures of the moment, whose request ERPNext has rolled back: each may be sent again, a POST too."""


class ErpNextError(RefusedError):
    """ERPNext has refused a request. `exc_type` is its own name for why, empty where it gave none."""

    def __init__(self, message: str, *, status: int, exc_type: str = "") -> None:
        super().__init__(message, status=status)
        self.exc_type = exc_type

    @property
    def lost(self) -> bool:
        """Whether something before ERPNext answered: the request may have been carried out, or still be."""
        return self.status >= 500 and not self.exc_type


class TakenError(ErpNextError):
    """The name, or a field that is unique, is another document's."""


class StaleError(ErpNextError):
    """The document has been changed since it was read."""


class LinkedError(ErpNextError):
    """The document cannot go: others link to it."""


class MissingLinkError(ErpNextError):
    """The document names one that is not there."""


class WizardUnfinishedError(EngineUnfinishedError):
    """The site's set-up wizard was never finished, so that what every company needs is not there."""


class ProfileMissingError(ProviderError):
    """The POS profile that a session is to be opened for is not there."""


class SessionOpenError(ProviderError):
    """A session is open that stands in the way of another."""


_CLASSES: Mapping[str, type[ErpNextError]] = {
    "DuplicateEntryError": TakenError,
    "UniqueValidationError": TakenError,
    "TimestampMismatchError": StaleError,
    "LinkExistsError": LinkedError,
    "LinkValidationError": MissingLinkError,
}
_WORDS: Mapping[str, str] = {
    "AuthenticationError": "does not accept the key and secret. Put valid ones in {key_name} and {secret_name}",
    "PermissionError": "does not let the user of {key_name} {do} {of}. Give that user a role with that right: "
    "ERPNext's Role Permissions Manager shows which have it",
    "DoesNotExistError": "has no such document",
    "DuplicateEntryError": "has one of that name already",
    "UniqueValidationError": "has another with the same value in a field that is unique",
    "MandatoryError": "misses a field that must be given",
    "LinkValidationError": "has not what it links to",
    "LinkExistsError": "does not let it go: other documents link to it. Delete or cancel those first, then retry",
    "TimestampMismatchError": "says that it was changed meanwhile. Retry",
    "TooManyRequestsError": "takes no more requests for now. Retry later",
    "ImportError": "does not know that doctype. Is the app erpnext installed on the site?",
    "SessionStopped": "is stopped for maintenance. Retry later",
    "InReadOnlyMode": "is read-only for now. Retry later",
}

_RIGHTS = {"POST": "create", "PUT": "write or submit", "DELETE": "delete"}


def refusal(
    what: str,
    *,
    name: str,
    request: str,
    status: int,
    text: str,
    variables: tuple[str, str],
    secrets: Iterable[str] = (),
) -> ErpNextError:
    """The error for an answer of `status` with the body `text` to `request`, such as `POST /api/resource/Company`.

    `name` is how errors call the site, `variables` are those of its key and secret.
    """
    body = parsed(text)
    exc_type = exc_type_of(body)
    meaning = _WORDS.get(exc_type, "") or _by_status(status)
    do, of = _asked_for(request)
    meaning = meaning.format(key_name=variables[0], secret_name=variables[1], do=do, of=of)
    said = " ".join(masked(_said(body), secrets).split())[:_SHOWN]
    kind = " ".join(filter(None, (str(status), exc_type)))
    words = f"{what}: {name} {meaning} ({kind} to {request}){f': {said}' if said else ''}".rstrip(".")
    return _CLASSES.get(exc_type, ErpNextError)(f"{words}.", status=status, exc_type=exc_type)


def parsed(text: str) -> Mapping[str, Any]:
    """An answer's body; empty where it is no JSON object, such as a page of HTML."""
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def exc_type_of(body: Mapping[str, Any]) -> str:
    """ERPNext's own name for why it refused; empty where it says none."""
    found = body.get("exc_type")
    return found if isinstance(found, str) else ""


def _by_status(status: int) -> str:
    # What a proxy in between answers, and a rate limit, name no exception.
    if status == 429:
        return _WORDS["TooManyRequestsError"]
    if status == 403:
        return (
            "or something before it, such as a proxy, lets no request through to {do} {of}. Allow it there, or give "
            "the user of {key_name} a role with that right"
        )
    return "does not work at the moment" if status >= 500 else "refuses it"


def _asked_for(request: str) -> tuple[str, str]:
    """The right that a request takes, and to what: (create, Item) of `POST /api/resource/Item`."""
    method, _, path = request.partition(" ")
    _, _, named = unquote(path).partition("/api/resource/")
    return _RIGHTS.get(method, "read"), named.partition("/")[0] or "that"


def _said(body: Mapping[str, Any]) -> str:
    """The messages for the user; without any, the exception's own words, which only some sites show."""
    messages = [_message(each) for each in _listed(body.get("_server_messages"))]
    shown = "; ".join(filter(None, messages)) or str(body.get("exception") or "")
    return html.unescape(_TAGS.sub("", shown))


def _listed(value: Any) -> list[Any]:
    try:
        found = json.loads(value)
    except (TypeError, ValueError):
        return []
    return found if isinstance(found, list) else []


def _message(value: Any) -> str:
    try:
        found = json.loads(value)
    except (TypeError, ValueError):
        return str(value)
    return str(found.get("message") or "") if isinstance(found, dict) else str(found)
