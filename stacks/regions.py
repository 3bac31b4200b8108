"""Whether a manifest's region is there and has what its line needs, as problems of the field `region`.

Decides what is refused before anything is touched. Reads the file of regions, and no server.
"""

from __future__ import annotations

from collections.abc import Sequence

from providers.backends import parts_of, regions
from providers.errors import ConfigurationError
from stacks.problems import FieldProblem, closest, shown


def region_problems(region: str, needed: Sequence[str], *, noun: str) -> list[FieldProblem]:
    """Empty where a tenant, called `noun` with its article, can be made there of the parts `needed`."""
    try:
        known = regions()
        missing = parts_of(region).lacking(needed) if region in known else []
    except ConfigurationError as error:
        return [FieldProblem(field="region", given=shown(region), valid=f"a region that is set up ({error})")]
    if region not in known:
        near = closest(region, known)
        return [
            FieldProblem(field="region", given=shown(region), valid=f"one of {', '.join(known)}", suggestion=near),
        ]
    if missing:
        valid = (
            f"a region with {', '.join(needed)}, which {noun} is made of: this one has no {' and no '.join(missing)}"
        )
        return [FieldProblem(field="region", given=shown(region), valid=valid)]
    return []
