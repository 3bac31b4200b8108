"""What was made on one server, while its region has come to name another: gone is only what is gone from its own.

Decides that an address alone says nothing (a server may get a new one, and take all along), and that an object which
the region's server of now does not have is still on the one before. Makes no call of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from providers.errors import ConfigurationError


def check_kept(was: str | None, now: str, *, what: str, key: str, there: Callable[[], bool]) -> None:
    """Raises ConfigurationError where the object is on a server that its region's file does not name any more.

    `was` and `now` are the server's address in the state (None: one of before, which has none) and in the region's
    file, at its `key`. `there` says whether the server of now has the object, as the tenant's; it is asked only where
    they differ.
    """
    if was is None or was == now or there():
        return
    raise ConfigurationError(
        f"{what}: it is at {was}, but the region now has {now}, which does not have it. Set the region's {key} back; "
        "to move, remove the tenant first."
    )
