"""PostgreSQL's errors in the words of `providers.plugin.errors`, with no secret in them, and one of its own:

ProviderError
└── StatementError          the server refused the statement
"""

from typing import TYPE_CHECKING

from providers.plugin.errors import (
    AccessError,
    CancelledError,
    ConflictError,
    ProviderError,
    RefusedError,
    UnreachableError,
)

if TYPE_CHECKING:
    import psycopg

__all__ = [
    "AccessError",
    "CancelledError",
    "ConflictError",
    "ProviderError",
    "RefusedError",
    "StatementError",
    "UnreachableError",
    "from_statement",
]


class StatementError(ProviderError):
    def __init__(self, message: str, *, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        # Serialization failure, deadlock, object in use.
        self.retry = sqlstate in {"40001", "40P01", "55006"}


_ADVICE = {
    "42501": "grant the provider's user that privilege, or use another user",
    "28P01": "check the provider's username and password",
    "57014": "it took longer than the time allowed; raise customTimeouts of the resource, or find what blocks it",
    "55P03": "another session holds a lock on it; end that session, or retry",
    "53300": "the server has no free connection; close some, or raise its max_connections",
    "53100": "the server's disk is full; free some space, then retry",
    "2BP01": "other objects depend on it; remove those first",
    "3D000": "create that database first",
    "3F000": "create that schema first",
    "42704": "create it first, or correct the name",
}


def from_statement(error: "psycopg.Error", doing: str) -> ProviderError:
    """A server's refusal while `doing` (for example `create role "app"`)."""
    diagnosis = error.diag
    state = error.sqlstate
    # The server's own primary message never quotes a password; statement text and details may, and are left out.
    said = diagnosis.message_primary or _lost(error)
    advice = _ADVICE.get(state or "")
    detail = f" ({diagnosis.message_detail.splitlines()[0]})" if state == "2BP01" and diagnosis.message_detail else ""
    message = f"cannot {doing}: {said}{detail}" + (f": {advice}" if advice else "")
    if state in {"42501", "28P01", "28000"}:
        return AccessError(message)
    if state is None or state.startswith(("08", "57P")):
        return UnreachableError(f"{message}. The connection was lost; the next run continues from what exists")
    return StatementError(message, sqlstate=state)


def _lost(error: "psycopg.Error") -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
