"""When what runs to an end, or stands alone, is ready: Job and Pod. Pure.

A Job that has failed is final, and so is a pod of phase Failed: no kubelet starts that again. A suspended Job runs
when somebody resumes it, so that it is not waited for.
"""

from providers.kubernetes.awaiting.documents import (
    condition,
    is_true,
    items,
    missing,
    number,
    part,
    selector,
    text,
    told,
)
from providers.kubernetes.awaiting.verdict import Failed, Ready, Related, Verdict, Waiting
from providers.kubernetes.seam import Document


def job(obj: Document, _related: Related, _first: Document) -> Verdict:
    if is_true(obj, "Complete"):
        return Ready()
    if is_true(obj, "Failed"):
        return Failed(reason=f"it has failed{told(condition(obj, 'Failed'))}")
    if part(obj, "spec", "suspend") is True:
        return Ready()
    if not text(obj, "status", "startTime"):
        return Waiting(reason="Waiting for the Job to start", step=(1, 2))
    wanted = number(obj, "spec", "completions", default=1)
    succeeded, active, failed = (number(obj, "status", each) for each in ("succeeded", "active", "failed"))
    counts = f"{succeeded}/{wanted} succeeded, {active} active, {failed} failed"
    return Waiting(reason=f"Waiting for the Job to complete: {counts}", step=(2, 2))


def job_pods(obj: Document) -> str:
    return selector(part(obj, "spec", "selector"))


def pod(obj: Document, _related: Related, _first: Document) -> Verdict:
    phase = text(obj, "status", "phase")
    if phase == "Succeeded" or (phase == "Running" and is_true(obj, "Ready")):
        return Ready()
    if phase == "Failed":
        return Failed(reason=f"the Pod has failed{told(obj['status'])}")
    if items(obj, "spec", "schedulingGates"):
        return Waiting(reason="Waiting for its scheduling gates to be taken away", step=(1, 3))
    for step, kind in enumerate(("PodScheduled", "Initialized"), start=1):
        if not is_true(obj, kind):
            return Waiting(reason=f"Waiting for the Pod: {missing(obj, kind)}", step=(step, 3))
    return Waiting(reason=f"Waiting for the Pod: phase {phase}, {missing(obj, 'Ready')}", step=(3, 3))
