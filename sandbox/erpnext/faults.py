"""What a site with a fault answers: [too-many], [maintenance], a gateway's page, or nothing at all."""

from sandbox.erpnext.refusals import Refusal
from sandbox.faults import Asked, Fault, Faults, Kind, Log, fault_of, gateway_answer
from sandbox.http import Answer

__all__ = ["Asked", "Fault", "Faults", "Kind", "Log", "answer_of", "fault_of"]


def answer_of(fault: Fault, *, as_json: bool, tracebacks: bool) -> Answer | None:
    """What the caller gets instead; None for a connection that is cut. [too-many], [maintenance]."""
    if fault.kind is Kind.DROP:
        return None
    if fault.kind is Kind.ERROR:
        return gateway_answer(fault.status)
    exc_type = "TooManyRequestsError" if fault.kind is Kind.TOO_MANY else "SessionStopped"
    headers = {"Retry-After": f"{fault.seconds:g}"} if fault.seconds else {}
    return Refusal(
        exc_type, "Too Many Requests" if fault.kind is Kind.TOO_MANY else "Updating", headers=headers
    ).answer(as_json=as_json, tracebacks=tracebacks)
