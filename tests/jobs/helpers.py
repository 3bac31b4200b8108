"""What the tests of jobs share."""

from typing import Any

from automation.jobs.model import Caller, NewJob
from automation.models_jobs import JobOperation
from tests.automation.helpers import MANIFEST

ALICE = Caller(subject="alice", address="192.0.2.7", correlation_id="c0ffee")
BOB = Caller(subject="bob", address=None, correlation_id="decade")


def new_job(tenant: str = "acme", operation: str = "up", **values: Any) -> NewJob:
    """An `up` with a manifest, unless told otherwise."""
    if operation == "up" and "manifest" not in values:
        values["manifest"] = MANIFEST | {"slug": tenant}
    given = {"line": "cabinet", "caller": ALICE, "name": tenant.title()} | values
    return NewJob(tenant=tenant, operation=JobOperation(operation), **given)
