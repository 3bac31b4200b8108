"""`python -m automation` is the command `tenantry`; the fleet runner starts its workers this way."""

from __future__ import annotations

import sys

from automation.cli import main

if __name__ == "__main__":
    sys.exit(main())
