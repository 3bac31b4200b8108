"""Where to go after signing in. Pure."""

from __future__ import annotations

import re

_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9/._~?=&%:+-]*")


def safe_target(target: str | None) -> str:
    """A path of our own, else the front page: a link must not lead elsewhere by way of us."""
    return target if target and _PATH.fullmatch(target) else "/tenants"
