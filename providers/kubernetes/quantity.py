"""Quantities as the API server reads them: `0.5` CPUs are `500m`, `1Gi` are `1024Mi`. Pure.

The grammar is that of k8s.io/apimachinery/pkg/api/resource: a decimal number with a suffix of powers of 2 or 10, or
with an exponent.
"""

import re
from fractions import Fraction

_FORM = re.compile(r"(?P<number>[+-]?(\d+\.?\d*|\.\d+))(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,3})?")
_POWERS = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def quantity(value: object) -> Fraction | None:
    """How much it is, exactly; None for what is no quantity."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    found = _FORM.fullmatch(str(value))
    if found is None:
        return None
    number, suffix = Fraction(found["number"]), found["suffix"] or ""
    if suffix in _BINARY:
        return number * Fraction(1024 ** _BINARY[suffix])
    power = _POWERS.get(suffix, 0) if len(suffix) < 2 else int(suffix[1:])
    return number * Fraction(10**power) if power >= 0 else number / Fraction(10**-power)
