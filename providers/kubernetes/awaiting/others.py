"""When small things are ready: Namespace, ResourceQuota, tokens, and what extends the API. Pure."""

from providers.kubernetes.awaiting.documents import is_true, missing, table, text
from providers.kubernetes.awaiting.verdict import Ready, Related, Verdict, Waiting
from providers.kubernetes.seam import Document

TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - the type of a Secret


def namespace(obj: Document, _related: Related, _first: Document) -> Verdict:
    phase = text(obj, "status", "phase")
    if phase == "Active":
        return Ready()
    return Waiting(reason=f"Waiting for the Namespace: it is {phase or 'not active yet'}")


def resource_quota(obj: Document, _related: Related, _first: Document) -> Verdict:
    """Until its controller has counted, everything it limits is refused."""
    if table(obj, "spec", "hard") == table(obj, "status", "hard"):
        return Ready()
    return Waiting(reason="Waiting for its controller to count what is used")


def secret(obj: Document, _related: Related, _first: Document) -> Verdict:
    """Only a service account's token is filled by a controller."""
    if text(obj, "type") != TOKEN or table(obj, "data"):
        return Ready()
    return Waiting(reason="Waiting for the token to be filled in: does its service account exist?")


def custom_resource_definition(obj: Document, _related: Related, _first: Document) -> Verdict:
    for kind in ("NamesAccepted", "Established"):
        if not is_true(obj, kind):
            return Waiting(reason=f"Waiting for the definition: {missing(obj, kind)}")
    return Ready()


def api_service(obj: Document, _related: Related, _first: Document) -> Verdict:
    if is_true(obj, "Available"):
        return Ready()
    return Waiting(reason=f"Waiting for the API: {missing(obj, 'Available')}")
