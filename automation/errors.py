"""The automation's error tree. `message` says which object and why, `hint` what to do; neither ever holds a secret.

TenantryError                exit  meaning
├── InputError                 2   a manifest, option or name that is not valid; nothing was touched
│   └── NotFoundError          2   no such tenant, deployment, template or file
├── RunFailedError             3   the run failed and what it did was rolled back
│   ├── RollbackFailedError    4   the run failed and its rollback is not complete
│   └── RunLeftError           9   the run failed and was left as it is (rollback is off, or cannot help)
├── LockedError                5   another run of this tenant is going on
├── DatabaseError              6   the main database cannot be reached, or refuses
├── ChangesFoundError          7   changes or drift where none were expected
├── EngineError                8   the engine, its state or the passphrase
├── UnhealthyError            10   a part of the tenant does not work
├── MissedTargetError         11   a calibration's coefficients are further off than the target (`calibration.errors`)
├── NotYetError               12   what the tenant is made on cannot be used now; its job is tried again
└── CancelledError           130   stopped by a signal
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class TenantryError(Exception):
    """Something that its reader can act upon. `exit_code` is what the command ends with."""

    exit_code = 1
    kind = "error"

    def __init__(self, message: str, *, hint: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = dict(details or {})

    def to_dict(self) -> dict[str, Any]:
        """The error as `--json` shows it: kind, message, hint, exit_code and details."""
        return {
            "kind": self.kind,
            "message": self.message,
            "hint": self.hint,
            "exit_code": self.exit_code,
            "details": self.details,
        }


class InputError(TenantryError):
    """Input that is not valid. `problems` has one (field, given, message) for each wrong field."""

    exit_code = 2
    kind = "invalid_input"

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[tuple[str, str, str]] = ()) -> None:
        rows = [{"field": field, "given": given, "message": text} for field, given, text in problems]
        super().__init__(message, hint=hint, details={"problems": rows} if rows else {})
        self.problems = tuple(problems)


class NotFoundError(InputError):
    """A tenant, deployment, template or file that is not there."""

    kind = "not_found"


class RunFailedError(TenantryError):
    """A run that failed; everything that it had done has been rolled back."""

    exit_code = 3
    kind = "failed_rolled_back"


class RollbackFailedError(RunFailedError):
    """A rollback that did not get through; `details['leftovers']` names what is left."""

    exit_code = 4
    kind = "rollback_incomplete"


class RunLeftError(RunFailedError):
    """A run that failed and was left as it is."""

    exit_code = 9
    kind = "failed"


class LockedError(TenantryError):
    """Another run of this tenant is going on; the message names its holder."""

    exit_code = 5
    kind = "locked"


class DatabaseError(TenantryError):
    """The main database cannot be reached or refuses what we ask."""

    exit_code = 6
    kind = "database"


class ChangesFoundError(TenantryError):
    """There are changes or drift where the caller expected none."""

    exit_code = 7
    kind = "changes"


class EngineError(TenantryError):
    """The Pulumi engine, its state or the passphrase."""

    exit_code = 8
    kind = "engine"


class UnhealthyError(TenantryError):
    """A part of a tenant does not work as its users use it."""

    exit_code = 10
    kind = "unhealthy"


class NotYetError(TenantryError):
    """What the tenant is made on cannot be used now, and the job may wait for it; nothing was touched."""

    exit_code = 12
    kind = "waiting"


class CancelledError(TenantryError):
    """Stopped by the user or by a signal; what was finished is saved."""

    exit_code = 130
    kind = "cancelled"


EXIT_CODES: tuple[tuple[int, str], ...] = (
    (0, "done"),
    (1, "a fault in Tenantry itself; run again with --debug"),
    (2, "invalid input, or no such tenant, deployment or template; nothing was touched"),
    (3, "the run failed and was rolled back"),
    (4, "the run failed and its rollback is not complete; the message says what is left"),
    (5, "another run of the tenant is going on"),
    (6, "the main database cannot be reached, or refuses"),
    (7, "changes or drift where --expect-no-changes promised none"),
    (8, "the engine, its state or the passphrase"),
    (9, "the run failed and was left as it is"),
    (10, "a part of the tenant does not work"),
    (11, "a calibration's coefficients are further off than the target"),
    (12, "what the tenant is made on cannot be used now; only a job that may wait ends an attempt so"),
    (130, "cancelled"),
)
