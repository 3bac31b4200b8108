"""Step `record`: the department's row in the main database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components.step import StepComponent
from providers.department_record import DepartmentRecord


class Record(StepComponent):
    """`anchor` is the row."""

    def __init__(self, name: str, row: Mapping[str, Any], *, tenant: pulumi.Resource) -> None:
        super().__init__("tenantry:department:Record", name, tenant=tenant, after=())
        self.anchor = DepartmentRecord(name, dict(row), self.child_options())
        self.register_outputs({"recordId": self.anchor.record_id})
