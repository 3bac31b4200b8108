"""How many requests a run has sent to each server: plugins write one line for each into a file that the run reads.

Decides where that file is: one for each process that runs tenants, named in the environment before its plugins start.
Nothing depends on it: a count that cannot be written or read is left out.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from providers.metering import REQUESTS_FILE


def begin() -> None:
    """Names a file of this process. To be called before plugins start; a second call does nothing."""
    prefix = f"tenantry-requests-{os.getpid()}-"
    if Path(os.environ.get(REQUESTS_FILE, "")).name.startswith(prefix):
        return  # one that was inherited is the parent's
    with contextlib.suppress(OSError):
        handle, path = tempfile.mkstemp(prefix=prefix)
        os.close(handle)
        os.environ[REQUESTS_FILE] = path
        atexit.register(Path(path).unlink, missing_ok=True)


def position() -> int:
    """How much has been written so far, for `since`."""
    try:
        return Path(os.environ[REQUESTS_FILE]).stat().st_size
    except (KeyError, OSError):
        return 0


def since(start: int) -> Mapping[str, int]:
    """Requests written since then, by the name that errors call the server."""
    try:
        with Path(os.environ[REQUESTS_FILE]).open("rb") as file:
            file.seek(start)
            lines = file.read().decode("utf-8", "replace").splitlines()
    except (KeyError, OSError):
        return {}
    return dict(Counter(lines))
