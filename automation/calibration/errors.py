"""What can go wrong with a calibration.

TenantryError
├── CalibrationError   it could not be done: a server did not start, or the application did not answer as it should
└── MissedTargetError  it was done, and what it found is further off than the target
"""

from __future__ import annotations

from automation.errors import TenantryError


class CalibrationError(TenantryError):
    """Nothing was measured that could be trusted."""

    kind = "calibration"


class MissedTargetError(TenantryError):
    """The coefficients do not foretell what was measured where they were not fitted."""

    exit_code = 11
    kind = "missed_target"
