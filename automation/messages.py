"""What the engine's words mean: which failures may pass by themselves, and which are not about the tenant at all.

Pure. Decides error class and advice from text; never decides whether to roll back or retry.
"""

from __future__ import annotations

import re

from automation.errors import EngineError, LockedError, TenantryError
from automation.redaction import plain

_TRANSIENT = re.compile(
    r"""connection\ (?:refused|reset|aborted|timed\ out|closed|is\ closed|was\ closed|to\ server.*(?:failed|lost))
    | could\ not\ (?:connect|receive\ data|send\ data|serialize\ access) | server\ closed\ the\ connection
    | (?:the\ )?connection\ is\ lost | broken\ pipe | network\ is\ (?:unreachable|down) | no\ route\ to\ host
    | temporar(?:y|ily)\ (?:failure|unavailable) | name\ resolution
    | time[d-]?\ ?out | deadline\ exceeded | too\ many\ (?:connections|clients|requests)
    | remaining\ connection\ slots | the\ database\ system\ is\ (?:starting|shutting|in\ recovery)
    | terminating\ connection | deadlock\ detected | rate\ limit | cannot\ be\ reached
    | \b(?:HTTP|status)\D{0,12}(?:429|50[0234])\b | \banswered\ (?:429|50[0234])\b | server\ disconnected
    # A cluster's provider says so of what may pass, in whatever words the API server has for it.
    | it\ was\ tried\ for\ \d+\ s\b""",
    re.IGNORECASE | re.VERBOSE,
)
# These contain words of the above, and no waiting will cure them. After the last one, another try would make a second.
_PERMANENT = re.compile(
    r"authentication failed|permission denied|does not exist|refuses the user|may have registered the client",
    re.IGNORECASE,
)

_PASSPHRASE = re.compile(
    r"incorrect passphrase|passphrase (?:is wrong|does not|must be set|is missing)|PULUMI_CONFIG_PASSPHRASE"
    r"|(?:cipher: )?message authentication failed|failed to decrypt|unable to decrypt",
    re.IGNORECASE,
)
_LOCKED = re.compile(r"is currently locked by|stack is locked", re.IGNORECASE)
_DISK = re.compile(r"no space left on device|disk is full|disk quota exceeded|ENOSPC", re.IGNORECASE)
_STATE = re.compile(
    r"(?:checkpoint|snapshot|state(?: file)?|deployment)\b.*"
    r"(?:corrupt|invalid|damaged|cannot be read|cannot be used|not valid|truncated)"
    r"|integrity (?:check|error)|could not deserialize|unmarshal|unexpected end of JSON"
    r"|failed to load (?:checkpoint|state)"
    r"|invalid character .* looking for|not valid JSON",
    re.IGNORECASE,
)
_ACCESS = re.compile(r"permission denied|read-only file system|EACCES|EROFS", re.IGNORECASE)
_NOT_A_TARGET = re.compile(r"depends on '(?P<urn>urn:[^']+)' which was (?:was )?not specified in --target list")
_STDERR = re.compile(r"^ ?stderr: ?(?P<text>.*)\Z", re.DOTALL | re.MULTILINE)


def is_transient(text: str) -> bool:
    """Whether an error is of the kind that passes: network, time-out, rate limit, 5xx."""
    return bool(_TRANSIENT.search(text)) and not _PERMANENT.search(text)


def engine_failure(text: str, *, tenant: str, backend: str) -> TenantryError | None:
    """The error in a failed command that did not come to run the program; None when it is none of those we know."""
    if _PASSPHRASE.search(text):
        return EngineError(
            f"the passphrase does not fit the secrets in the state of '{tenant}'",
            hint="set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE, to the one it was made with",
        )
    if _LOCKED.search(text):
        return LockedError(
            f"the stack of '{tenant}' is locked by another Pulumi run, such as `pulumi up -s {tenant}` by hand",
            hint=f"wait for it to end; only if you know that it is dead: `pulumi cancel -s {tenant}`",
        )
    if _DISK.search(text):
        return EngineError(
            f"the disk that holds the state of '{tenant}' is full: {backend}",
            hint="free some space, then run the same command again: it continues where this one stopped",
        )
    if _STATE.search(text):
        return EngineError(
            f"the state of '{tenant}' in {backend} is damaged: {_reason(text)}",
            hint="nothing was changed. Put back the last good copy: the stack's .bak file, or the newest in backups/",
        )
    if _ACCESS.search(text):
        return EngineError(
            f"the state of '{tenant}' in {backend} cannot be used: {summary(text)}",
            hint="give this user the right to read and write it, then retry",
        )
    return None


def missing_target(text: str) -> str | None:
    """The URN that a targeted resource needs and that does not exist yet, where that is what failed."""
    found = _NOT_A_TARGET.search(text)
    return found["urn"] if found else None


def _reason(text: str) -> str:
    """The summary without the engine's own advice, which is for Pulumi's users."""
    return summary(text).split(" Nothing was changed", 1)[0].strip(" .:")


def summary(text: str) -> str:
    """The first line of a command's output that says something, without `error:` and colours."""
    found = _STDERR.search(plain(text))
    lines = [line.strip() for line in (found["text"] if found else plain(text)).splitlines()]
    speaking = [line for line in lines if line and not line.startswith(("code:", "stdout:", "warning:"))]
    preferred = next(
        (line for line in speaking if line.startswith("error:")), speaking[0] if speaking else "no reason given"
    )
    return preferred.removeprefix("error:").strip()
