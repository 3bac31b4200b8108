"""Claims that keep what they hold. Pure.

Decides what of a PersistentVolumeClaim with the annotation is asked for where the server lets nobody change it: another
claim in its place would be empty. One that is to be smaller stays as it is, as does one of another storage class. One
that is to be elsewhere is refused, and so is one that is to be reached in another way, unless several nodes reach it
already.
"""

from providers.kubernetes.awaiting.documents import annotations_of, table, text
from providers.kubernetes.quantity import quantity
from providers.plugin.errors import RefusedError
from providers.plugin.wire import Plain, has_unknown

KEPT = "tenantry.dev/kept"
_CLAIM = "PersistentVolumeClaim"
_MODES, _CLASS = "accessModes", "storageClassName"
_SEVERAL = "ReadWriteMany"


def kept(values: Plain, olds: Plain) -> Plain:
    """The inputs as they are asked for then; `olds` are those of before. Raises RefusedError."""
    if values.get("kind") != _CLAIM or has_unknown(values) or annotations_of(values).get(KEPT) != "true":
        return values
    before, spec = table(olds, "spec"), table(values, "spec")
    if not before or has_unknown(before):
        return values
    _demand_place(text(olds, "metadata", "namespace"), text(values, "metadata", "namespace"))
    _demand_reachable(before.get(_MODES) or [], spec.get(_MODES) or [])
    spec = {key: value for key, value in spec.items() if key not in {_MODES, _CLASS}}
    spec |= {key: before[key] for key in (_MODES, _CLASS) if key in before}
    return values | {"spec": _as_large(spec, before)}


def _demand_place(has: str, wanted: str) -> None:
    if has and wanted != has:
        raise RefusedError(
            f"the volume holds data, and is in the namespace {has}: in {wanted or 'another'} it would be another one, "
            "which is empty. Leave it there, or move the data to a new claim"
        )


def _demand_reachable(has: list[str], wanted: list[str]) -> None:
    if _SEVERAL not in has and sorted(wanted) != sorted(has):
        raise RefusedError(
            f"the volume holds data, and its accessModes are {', '.join(has)}: with {', '.join(wanted)} it would be "
            "another one, which is empty. Leave them (for one pod and not several), or move the data to a new claim"
        )


def _as_large(spec: Plain, before: Plain) -> Plain:
    requests = table(spec, "resources", "requests")
    has, wanted = (quantity(table(of, "resources", "requests").get("storage")) for of in (before, spec))
    if has is None or wanted is None or wanted >= has:
        return spec
    storage = table(before, "resources", "requests")["storage"]
    return spec | {"resources": table(spec, "resources") | {"requests": requests | {"storage": storage}}}
