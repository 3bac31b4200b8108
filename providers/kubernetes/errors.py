"""What the API server said, as errors in one line with no secret in them. Pure.

ProviderError
├── ApiError                the server refused; `status` and `reason` are its own
│   ├── MissingError        404: no such object, or no such kind
│   │   └── NotYetError     what the object needs is not there yet: its namespace, its service account
│   └── ImmutableError      422: fields that cannot be changed; `fields` are their paths
├── AwayError               503 for as long as it was tried: what serves this is away, but perhaps nothing else
├── ConflictError
│   └── OwnershipError      409: another field manager has fields that were to be set
└── CancelledError
    └── UnansweredError     cancelled after a try that had no answer: it may have been done
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from providers.masking import masked
from providers.plugin.errors import AccessError, CancelledError, ConflictError, ProviderError

_LONGEST = 700
_SHORTEST_SECRET = 4
"""Characters: what is shorter is a port or a word, and hiding it would take the sense from a message."""
_PASSING = frozenset({429, 500, 502, 503, 504})
_IMMUTABLE = re.compile(
    r"immutable|may not change once set|may not change fields other than|cannot change roleRef"
    r"|field can not be less than|for fields other than .* are forbidden"
    r"|updates to \w+ are forbidden|may not be (changed|updated|modified)",
)
_NOT_YET = re.compile(
    r'^namespaces "[^"]+" not found|error looking up service account|serviceaccount "[^"]+" not found'
)
_MALFORMED = re.compile(
    r"failed to create (manager for existing fields|typed patch object)|field not declared in schema"
    r"|failed to convert new object"
)
_OWNER = re.compile(r'conflict with "(?P<owner>[^"]*)"')
_QUOTA = re.compile(r"exceeded quota: (?P<name>[^,\s]+), (?P<rest>.*)")
_WEBHOOK = re.compile(r'admission webhook "(?P<name>[^"]+)" denied the request:? ?(?P<rest>.*)', re.DOTALL)
_POLICY = re.compile(r"ValidatingAdmissionPolicy '(?P<name>[^']+)' with binding '[^']+' denied request: (?P<rest>.*)")


class ApiError(ProviderError):
    def __init__(self, message: str, *, status: int, reason: str = "", after: float = 0) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.after = after
        """Seconds that the server asked to wait before the next try."""
        self.retry = status in _PASSING


class MissingError(ApiError):
    pass


class NotYetError(MissingError):
    pass


class ImmutableError(ApiError):
    def __init__(self, message: str, *, fields: tuple[str, ...]) -> None:
        super().__init__(message, status=422, reason="Invalid")
        self.fields = fields


class AwayError(ProviderError):
    retry = True


class OwnershipError(ConflictError):
    pass


class UnansweredError(CancelledError):
    pass


def may_have_been_done(error: ProviderError) -> bool:
    """Whether a request that failed so may have reached the server, which then did what was asked."""
    return error.retry or isinstance(error, UnansweredError)


def silenced(words: str, hide: Iterable[str]) -> str:
    """The words without what is to appear nowhere."""
    return masked(words, [secret for secret in hide if len(secret) >= _SHORTEST_SECRET])


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """What a request is for: `create` `Deployment 'shop/web'` at `https://...`. `hide` appears in no error."""

    verb: str
    subject: str
    host: str = ""
    hide: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"cannot {self.verb} {self.subject}"

    def line(self, said: str, advice: str = "") -> str:
        """`cannot DOING: what was said: what to do`."""
        said = silenced(said, self.hide)
        said = " ".join(said.split()).rstrip(".")
        if len(said) > _LONGEST:
            said = f"{said[:_LONGEST]} ..."
        return f"{self}: {said or 'nothing more was said'}" + (f". {advice}" if advice else "")


def from_answer(doing: Doing, status: int, body: Any, after: float = 0) -> ProviderError:
    """The error in an answer that is none of success; `body` is the server's Status, as far as it sent one."""
    told = body if isinstance(body, dict) and body.get("kind") == "Status" else {}
    said = str(told.get("message") or f"the server at {doing.host} answered {status}")
    reason = str(told.get("reason") or "")
    details = told.get("details") or {}
    causes = [cause for cause in details.get("causes") or [] if isinstance(cause, dict)]
    after = after or float(details.get("retryAfterSeconds") or 0)
    conflicts = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if conflicts:
        return OwnershipError(_ownership(doing, conflicts))
    if status == 422 and _all_immutable(said, causes):
        fields = tuple(dict.fromkeys(str(cause.get("field") or "") for cause in causes))
        return ImmutableError(doing.line(said), fields=fields)
    if status in {403, 404} and _NOT_YET.search(said):
        return NotYetError(doing.line(said, "Create it first, or depend on it"), status=status, reason=reason)
    if status == 404:
        return MissingError(doing.line(said), status=404, reason=reason)
    denied = _denied(doing, said)
    if denied:
        return ApiError(denied, status=403, reason=reason)
    if status == 401:
        who = f"the server at {doing.host} does not know this user"
        return AccessError(doing.line(who, "Check the user of the kubeconfig: its token, certificate or command"))
    if status == 403 and " cannot " in said:
        return AccessError(doing.line(said, "Give this user that right (RBAC), or use another"))
    error = ApiError(doing.line(said), status=status, reason=reason, after=after)
    # What fits no schema is told as the server's own trouble, and never passes.
    error.retry = error.retry and not _MALFORMED.search(said)
    # Two writers of one object, such as a quota that counts many at once.
    error.retry = error.retry or (status == 409 and "object has been modified" in said)
    return error


def _denied(doing: Doing, said: str) -> str:
    if found := _QUOTA.search(said):
        return doing.line(
            f"quota '{found['name']}' is used up ({found['rest']})",
            "Ask for less, remove something, or raise the quota",
        )
    if found := _WEBHOOK.search(said):
        return doing.line(f"admission webhook '{found['name']}' denies it: {found['rest']}")
    if found := _POLICY.search(said):
        return doing.line(f"admission policy '{found['name']}' denies it: {found['rest']}")
    return ""


def _all_immutable(said: str, causes: Iterable[dict[str, Any]]) -> bool:
    """Whether there is nothing else wrong with what was sent."""
    messages = [str(cause.get("message") or "") for cause in causes]
    return bool(_IMMUTABLE.search(said)) and all(_IMMUTABLE.search(message) for message in messages)


def _ownership(doing: Doing, conflicts: Iterable[dict[str, Any]]) -> str:
    fields: dict[str, list[str]] = {}
    for cause in conflicts:
        found = _OWNER.search(str(cause.get("message") or ""))
        fields.setdefault(found["owner"] if found else "another", []).append(str(cause.get("field") or "?"))
    owners = " and ".join(f"field manager '{owner}' has {', '.join(paths)}" for owner, paths in sorted(fields.items()))
    return doing.line(
        owners,
        "Leave these fields to it (take them out, or ignore_changes), or take them over with the annotation "
        'pulumi.com/patchForce: "true"',
    )
