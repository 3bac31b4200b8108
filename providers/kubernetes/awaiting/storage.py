"""When storage is ready: PersistentVolumeClaim and PersistentVolume. Pure.

A claim of which the class waits for its first consumer is bound when a pod comes, which may well depend on the claim,
so that it is not waited for. A claim that has lost its volume never gets it back: that is final.
"""

from providers.kubernetes.awaiting.documents import name_of, namespace_of, text, told, uid_of
from providers.kubernetes.awaiting.verdict import Failed, Query, Ready, Related, Verdict, Waiting
from providers.kubernetes.seam import Document

_CLASS = "storageclass"
_EVENTS = "consumer"
_FIRST_CONSUMER = "WaitForFirstConsumer"


def claim_queries(obj: Document) -> tuple[Query, ...]:
    if text(obj, "status", "phase") == "Bound":
        return ()
    uid, name = uid_of(obj), text(obj, "spec", "storageClassName")
    # Who may not read the class is told all the same: the controller says it in an event of the claim.
    fields = f"involvedObject.uid={uid},reason={_FIRST_CONSUMER}"
    events = Query(
        key=_EVENTS, api_version="v1", kind="Event", namespace=namespace_of(obj), fields=fields, optional=True
    )
    storage_class = Query(key=_CLASS, api_version="storage.k8s.io/v1", kind="StorageClass", name=name, optional=True)
    return (storage_class, events) if name else (events,)


def claim(obj: Document, related: Related, _first: Document) -> Verdict:
    phase = text(obj, "status", "phase")
    if phase == "Bound":
        return Ready()
    if phase == "Lost":
        volume = text(obj, "spec", "volumeName")
        return Failed(reason=f"its PersistentVolume {volume} is gone, and what was on it")
    if phase == "Pending" and (_waits_for_pod(related) or related.get(_EVENTS)):
        return Ready()
    name = text(obj, "spec", "storageClassName")
    if name and related.get(_CLASS) == []:
        return Waiting(reason=f"Waiting for the claim to be bound: there is no StorageClass {name}")
    whose = f"of StorageClass {name}" if name else "without a StorageClass: one that fits has to be there"
    return Waiting(reason=f"Waiting for the claim to be bound to a PersistentVolume {whose}")


def _waits_for_pod(related: Related) -> bool:
    return any(text(each, "volumeBindingMode") == _FIRST_CONSUMER for each in related.get(_CLASS) or [])


def volume(obj: Document, _related: Related, _first: Document) -> Verdict:
    phase = text(obj, "status", "phase")
    if phase in {"Available", "Bound"}:
        return Ready()
    words = told(obj.get("status") or {})
    return Waiting(reason=f"Waiting for PersistentVolume {name_of(obj)}: it is {phase or 'not looked at yet'}{words}")
