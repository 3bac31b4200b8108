"""The most that an ISP may be sized to here: MAX_CPU_CORES, MAX_MEMORY_GB and MAX_STORAGE_GB (ISP-7).

Decides only what the variables may hold.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

from providers.errors import ConfigurationError
from stacks.isp.sizing import CAPPED, Caps


def caps_of(environ: Mapping[str, str] = os.environ) -> Caps:
    """The caps; one that is not set, or empty, caps nothing. Raises ConfigurationError naming each wrong variable."""
    found: dict[str, float] = {}
    wrong = []
    for name, _, variable in CAPPED:
        text = environ.get(variable, "").strip()
        if not text:
            continue
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value) and value > 0:
            found[name] = value
        else:
            wrong.append(f"{variable} is {text[:40]!r}; valid: a number above 0, such as 16")
    if wrong:
        raise ConfigurationError(f"{'; '.join(wrong)}.")
    return Caps(**found)
