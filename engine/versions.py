"""Which Pulumi this engine is: the installed SDK's own version, so that the two always fit."""

from __future__ import annotations

import hashlib
from importlib import metadata
from typing import Final


def _sdk_version() -> str:
    return metadata.version("pulumi")


VERSION: Final = _sdk_version()
VERSION_TEXT: Final = f"v{VERSION}"
#: The stock engine signs a manifest with the digest of its version.
MAGIC: Final = hashlib.sha256(VERSION_TEXT.encode()).hexdigest()
