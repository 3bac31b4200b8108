"""What a dynamic provider waits for, shown beside its resource while it waits.

Nothing depends on being heard. The SDK gives a provider neither its resource's URN nor the engine: the URN is found in
the frame of the host's call, as the SDK's own providers find their `context`, and the engine's address is what Pulumi
starts every plugin with.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable

_ADDRESS = re.compile(r"(127\.0\.0\.1|localhost|\[::1\]):[0-9]{1,5}")


def speaker() -> Callable[[str], None]:
    """What shows a message beside the resource that this call is for; does nothing outside of such a call."""
    address, urn = next(filter(_ADDRESS.fullmatch, sys.argv[1:]), ""), current_urn()
    if not address or not urn:
        return lambda _message: None
    from providers.plugin.engine_log import EngineLog

    log = EngineLog(address)
    return lambda message: log.status(urn, message)


def current_urn() -> str:
    """The resource that the host's call is for in which this is called; empty outside of one."""
    frame = inspect.currentframe()
    while frame is not None and not _is_call(frame.f_locals.get("request")):
        frame = frame.f_back
    return str(frame.f_locals["request"].urn) if frame is not None else ""


def _is_call(request: object) -> bool:
    return str(getattr(request, "urn", "")).startswith("urn:pulumi:")
