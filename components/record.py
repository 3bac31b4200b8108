"""Step `record`: the cabinet's row in the main database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi

from components.step import StepComponent
from providers.cabinet_record import CabinetRecord


class Record(StepComponent):
    def __init__(
        self,
        name: str,
        row: Mapping[str, str | None],
        *,
        tenant: pulumi.Resource,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        super().__init__("tenantry:cabinet:Record", name, tenant=tenant, after=after)
        self.record = CabinetRecord(name, dict(row), self.child_options())
        self.register_outputs({"recordId": self.record.record_id})
