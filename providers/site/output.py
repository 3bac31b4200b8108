"""What bench writes, and what its exit codes mean. Pure.

Source: facts/erpnext.md, "Site lifecycle", and Frappe's own sources of versions 12 to 15 (a progress bar is redrawn
after a carriage return; a backup's summary has a line for each kind; `list-apps` has a line for each app).
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from providers.masking import masked
from providers.site.errors import BackupError, CommandError, SiteError, StoppedError, TimeLimitError
from providers.site.seam import WORDS, App, Kind, Progress

ROOT_ASKED = r"(mysql|mariadb|postgres|root|super ?user).*password"
ADMIN_ASKED = r"administrator('s)? password"
SHOWN = 400
_BAR = re.compile(r"^\s*(?P<stage>[A-Z][^:\[\]]{2,80}?)\s*:\s*\[[=\s#.-]*\]\s*(?P<percent>\d{1,3})\s*%")
_STAGE = re.compile(
    r"^\s*(?P<stage>(Installing|Migrating|Restoring|Dropping|Taking|Creating|Executing)\b.{2,80}?)[.\s]*$"
)
_SUMMARY = re.compile(r"^\s*(?P<kind>Config|Database|Public|Private)\s*:\s+(?P<path>\S.*?)\s+[\d.,]+\s*[KMGTP]?i?B\s*$")
_APP = re.compile(r"^(?P<name>[a-z][a-z0-9_]*)(\s+v?(?P<version>\d\S*)(\s.*)?)?$")
_RESTORING = re.compile(r"^\s*Restoring\b")
_QUESTION = re.compile(r"[:?]\s*$")
_GONE = re.compile(
    r"Unknown database|Access denied for user '|password authentication failed"
    r'|(database|role) "[^"]*" does not exist',
    re.IGNORECASE,
)
_NOISE = ("GetPassWarning", "Warning: Password input", "passwd = fallback_getpass", "return fallback_getpass")


def progress_in(doing: str, line: str) -> Progress | None:
    """The progress that a line tells; None where it tells none."""
    if bar := _BAR.match(line):
        return Progress(doing=doing, stage=" ".join(bar["stage"].split()), percent=min(100, int(bar["percent"])))
    if stage := _STAGE.match(line):
        return Progress(doing=doing, stage=stage["stage"].strip())
    return None


def backup_paths(lines: Iterable[str]) -> dict[Kind, str]:
    """The files of a backup, by what is in them. Raises BackupError where any kind of them is not among them.

    Bench ends well where it could not pack a site's files, and its summary leaves both archives of them out then.
    """
    found = {Kind(row["kind"].lower()): row["path"] for line in lines if (row := _SUMMARY.match(line))}
    if lost := [WORDS[kind] for kind in Kind if kind not in found]:
        raise BackupError(f"bench tells no path of a backup of {' and '.join(lost)}, so there is none to be relied on")
    return found


def apps_in(lines: Iterable[str]) -> tuple[App, ...]:
    """The apps that `list-apps` tells; what it warns of is left out."""
    rows = (_APP.match(line.strip()) for line in lines)
    return tuple(App(name=row["name"], version=row["version"] or "") for row in rows if row)


def last_words(lines: Sequence[str], secrets: Iterable[str]) -> str:
    """What a command said last, in one line, without progress bars and without secrets."""
    kept = [line.strip() for line in lines if not _BAR.match(line) and not any(word in line for word in _NOISE)]
    return masked(" ".join(" ".join(kept[-12:]).split()), secrets)[-SHOWN:]


def exit_words(command: str, code: int) -> str:
    """What an exit code of bench means, and what can be done.

    1 is bench's own for any failure; 2 is what its command line gives for words that it does not know (click); 126, 127
    and above 128 are a shell's.
    """
    if code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        why = "most likely for want of memory" if number == signal.SIGKILL else "by somebody or the machine"
        return f"it was ended by {name}, {why}"
    match code:
        case 1:
            return f"exit code 1: {command} has failed"
        case 2:
            return f"exit code 2: this version of bench does not take such words for {command}"
        case 126 | 127:
            return f"exit code {code}: bench cannot be started. Name it in the region's site backend (command)"
        case _:
            return f"exit code {code}"


def is_refused(ended: Mapping[str, Any], lines: Sequence[str], root_user: str) -> bool:
    """Whether a command was certainly turned away at the door: it has touched nothing. `lines` are all that it said.

    That is where bench is not there or does not know the words, where the database server refuses its root user or
    nobody can tell that one's password, and where the backup's key does not fit. Frappe logs in as root, and deciphers
    the dump, before it makes a database anew. What the server refuses a user who is in comes later, and so does any
    refusal of the site's own user.
    """
    if ended["ended"] == "missing":
        return True
    if any(_RESTORING.match(line) for line in lines):
        return False
    if ended["ended"] == "asked":
        questions = [line for line in lines if _QUESTION.search(line)]
        return bool(questions) and re.search(ROOT_ASKED, questions[-1], re.IGNORECASE) is not None
    if ended["ended"]:
        return False
    user = re.escape(root_user)
    door = (
        rf"Access denied for user '{user}'@'[^']*' \(using password",
        rf"\b1698\b.{{0,12}}Access denied for user '{user}'@",
        rf'password authentication failed for user "{user}"',
        r"^\s*Decryption failed\b",
    )
    return ended["code"] == 2 or (ended["code"] == 1 and any(re.search(one, line) for one in door for line in lines))


def failure(
    what: str, doing: str, ended: Mapping[str, Any], seconds: float, said: str, *, refused: bool = False
) -> SiteError:
    """The error for a command that did not end well: `ended` is the host's answer, `said` its last words.

    A command that asks for no root logs in as the site's own user, whom drop-site takes away with the database.
    """
    tail, code = f" It said: {said}" if said else "", int(ended["code"])
    match ended["ended"]:
        case "time":
            return TimeLimitError(f"{what} took longer than {seconds:g} s and was ended.{tail}")
        case "caller":
            return StoppedError(f"{what} was ended, as nobody waited for it any more.")
        case "asked":
            return CommandError(
                f"{what} asks for what nobody has told it. Set the region's site.dbRootPasswordFrom, and give the site "
                f"an administrator's password.{tail}",
                code=code,
                refused=refused,
            )
        case "missing":
            return CommandError(f"{what}: {exit_words(doing, 127)} ({ended['why']}).", code=127, refused=refused)
    gone = code == 1 and _GONE.search(said) is not None
    return CommandError(f"{what}: {exit_words(doing, code)}.{tail}", code=code, refused=refused, gone=gone)
