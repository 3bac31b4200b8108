"""How long the parts of an ISP are waited for: most of their steps' time, as it is configured.

Decides that what is left of a step's time is for saying what it waited for in vain: a step that is cut off cannot.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from providers.errors import ConfigurationError
from stacks.isp.steps import STEPS

_PART = 0.85
_MOST = 86_400.0
_OWN = {"health": "HEALTH_CHECK_TIMEOUT"}
_EACH, _ALL = "TENANTRY_STEPS", "TENANTRY_STEP_TIMEOUT"


def waits_for(key: str, environ: Mapping[str, str] = os.environ) -> float:
    """Seconds, of what the variables give the step, in the order in which `automation.settings` reads them.

    Raises ConfigurationError naming a variable that holds no number of seconds.
    """
    own = next(step.seconds for step in STEPS if step.key == key)
    named = [(_OWN[key], environ.get(_OWN[key]))] if key in _OWN else []
    for variable, given in [(_EACH, _special(key, environ)), *named, (_ALL, environ.get(_ALL))]:
        if given not in {None, ""}:
            return _PART * _seconds(variable, given)
    return _PART * (own or 0.0)


def _special(key: str, environ: Mapping[str, str]) -> Any:
    text = environ.get(_EACH, "")
    try:
        limits = json.loads(text) if text else {}
        return (limits.get(key) or {}).get("timeout")
    except (ValueError, AttributeError):
        raise ConfigurationError(f"{_EACH} is {text[:40]!r}: set it to JSON of limits by step.") from None


def _seconds(variable: str, given: Any) -> float:
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = 0.0
    if not 0 < value <= _MOST:
        raise ConfigurationError(f"{variable} gives {str(given)[:40]!r}: set it to seconds, above 0 and to {_MOST:g}.")
    return value
