"""Reading documents of which any part may be missing. Pure."""

from collections.abc import Mapping
from typing import Any

from providers.kubernetes.seam import Document


def part(doc: Any, *path: str) -> Any:
    """What lies at `path`, or None."""
    for step in path:
        if not isinstance(doc, Mapping):
            return None
        doc = doc.get(step)
    return doc


def table(doc: Any, *path: str) -> dict[str, Any]:
    """The object at `path`; an empty one where there is none."""
    found = part(doc, *path)
    return dict(found) if isinstance(found, Mapping) else {}


def items(doc: Any, *path: str) -> list[Any]:
    """The list at `path`; an empty one where there is none."""
    found = part(doc, *path)
    return list(found) if isinstance(found, list) else []


def text(doc: Any, *path: str) -> str:
    """The text at `path`; "" where there is none."""
    found = part(doc, *path)
    return "" if found is None else str(found)


def number(doc: Any, *path: str, default: int = 0) -> int:
    """The number at `path`. Numbers that came through the engine are floats."""
    found = part(doc, *path)
    return int(found) if isinstance(found, int | float) else default


def name_of(doc: Document) -> str:
    return text(doc, "metadata", "name")


def namespace_of(doc: Document) -> str:
    return text(doc, "metadata", "namespace")


def uid_of(doc: Document) -> str:
    return text(doc, "metadata", "uid")


def annotations_of(doc: Document) -> dict[str, Any]:
    return table(doc, "metadata", "annotations")


def title(doc: Document) -> str:
    """`Deployment shop/web`."""
    namespace = namespace_of(doc)
    return f"{text(doc, 'kind')} {namespace}/{name_of(doc)}" if namespace else f"{text(doc, 'kind')} {name_of(doc)}"


def condition(doc: Document, kind: str) -> dict[str, Any]:
    """The condition of that type, in whatever case; an empty one where there is none."""
    wanted = kind.casefold()
    found = (each for each in items(doc, "status", "conditions") if text(each, "type").casefold() == wanted)
    return next(found, {})


def is_true(doc: Document, kind: str) -> bool:
    return text(condition(doc, kind), "status") == "True"


def told(found: Mapping[str, Any]) -> str:
    """What a condition or a state says of itself: ` (Reason: message)`, or as much of it as there is."""
    words = ": ".join(filter(None, (text(found, "reason"), text(found, "message").strip())))
    return f" ({words})" if words else ""


def missing(doc: Document, kind: str) -> str:
    """`condition Available is False (Reason: message)`."""
    found = condition(doc, kind)
    return f"condition {kind} is {text(found, 'status') or 'not there yet'}{told(found)}"


def is_observed(doc: Document) -> bool:
    """Whether its controller has seen the object as it is now: a status of before says nothing."""
    return number(doc, "status", "observedGeneration") >= number(doc, "metadata", "generation")


def owned_by(doc: Document, owner: str) -> bool:
    """Whether `owner`, a uid, controls it."""
    references = items(doc, "metadata", "ownerReferences")
    return any(text(each, "uid") == owner and each.get("controller") is True for each in references)


def labels_selector(labels: Mapping[str, Any]) -> str:
    """A map of labels as the API takes it in a query."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def selector(found: Any) -> str:
    """A LabelSelector as the API takes it in a query; "" where there is none."""
    words = [labels_selector(table(found, "matchLabels"))]
    for each in items(found, "matchExpressions"):
        key, values = text(each, "key"), ",".join(map(str, items(each, "values")))
        form = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        words.append(form.get(text(each, "operator"), ""))
    return ",".join(filter(None, words))
