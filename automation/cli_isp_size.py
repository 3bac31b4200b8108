"""`tenantry isp size`: what an ISP would be given, amount by amount, before anything is made.

Decides how that looks. What a size comes to is decided by `stacks.isp`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from automation import manifests
from automation.cli_support import Output, print_table

if TYPE_CHECKING:
    from stacks.isp.sized import Amount


def show_size(
    output: Output,
    *,
    customers: int,
    plan: str,
    features: Sequence[str],
    own: Mapping[str, float | int | None],
    template: str | None,
) -> None:
    """Prints it. `own` are values in place of computed ones, by their keys. Raises InputError with every problem."""
    from stacks.isp.sized import sized

    asked: dict[str, Any] = {"customerCount": customers, "planType": plan, "features": list(features)}
    given = {key: value for key, value in own.items() if value is not None}
    with manifests.explained():
        found = sized({**asked, "customResources": given, **({"templateId": template} if template else {})})
    if output.as_json:
        template_id, version = found.template
        rows = [one.to_dict() for one in found.amounts]
        output.document({"type": "size", "template": f"{template_id}@{version}", "amounts": rows})
        return
    print_table(
        output,
        ("RESOURCE", "COMPUTED", "GIVEN", "BECAUSE"),
        [(one.key, f"{one.computed:g}", f"{one.given:g} {one.unit}", _because(one)) for one in found.amounts],
    )


def _because(amount: Amount) -> str:
    match amount.why:
        case "cap":
            return f"{amount.variable} allows no more"
        case "given":
            return "given"
        case _:
            return "of customers, plan and features"
