"""A department's row: what of it can never be changed."""

from __future__ import annotations

from providers.department_record import DepartmentRecordProvider

ROW = {
    "slug": "finance",
    "tenant_mark": "tenantry/finance",
    "name": "Finance",
    "admin_email": "head@finance.example",
    "region": "eu-central",
    "retention": "90d",
    "schema_name": "department_finance",
}


def test_a_department_stays_in_its_region() -> None:
    check = DepartmentRecordProvider().check
    assert check({}, ROW).failures == []
    assert check(ROW, ROW | {"retention": "1y"}).failures == []
    (failure,) = check(ROW, ROW | {"region": "us-east"}).failures
    assert failure.property == "region"
    assert "is in eu-central" in failure.reason
