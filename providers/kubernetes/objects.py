"""What is sent to the server for a resource's inputs, and what the engine keeps of the answer. Pure.

Secrets: the contents of a Secret always are, `stringData` as well as `data`; whatever else the program made secret
stays so at its place, and a list that holds a secret is secret as a whole, since its items may come back in another
order.
"""

import base64
import binascii
from collections.abc import Iterable
from typing import Any

from providers.kubernetes.awaiting.documents import annotations_of, name_of, namespace_of, table
from providers.kubernetes.seam import Document
from providers.kubernetes.tokens import Type
from providers.kubernetes.trees import at_path, leaves, pruned, without
from providers.plugin.errors import RefusedError
from providers.plugin.wire import Bag, Path, Plain

MANAGER_KEY = "__fieldManager"
VERSION_KEY = "__initialApiVersion"
FORCE = "pulumi.com/patchForce"
MANAGER = "pulumi.com/patchFieldManager"
PROPAGATION = "pulumi.com/deletionPropagationPolicy"
REPLACE_UNREADY = "pulumi.com/replaceUnready"
AUTONAMED = "pulumi.com/autonamed"

APPLIED: Path = ("metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration")
"""Where kubectl keeps all that it was given: of a Secret the contents too."""
_CONTENTS: tuple[Path, ...] = (("data",), ("stringData",))
_SERVERS_OWN: tuple[Path, ...] = (
    ("status",),
    *(("metadata", name) for name in ("creationTimestamp", "generation", "managedFields", "resourceVersion")),
    *(("metadata", name) for name in ("selfLink", "uid", "deletionTimestamp", "deletionGracePeriodSeconds")),
)


def document_of(type_: Type, values: Plain) -> Document:
    """The object that the inputs ask for; without what the engine or an earlier run has added."""
    asked = {key: value for key, value in values.items() if not key.startswith("__")}
    found: Document = pruned({"apiVersion": type_.api_version, "kind": type_.kind} | asked)
    return found


def sendable(document: Document) -> Document:
    """The object as it is applied. The server keeps no stringData, so that nobody could own it."""
    sent = without(document, _SERVERS_OWN)
    if sent.get("kind") == "Secret" and "stringData" in sent:
        texts = {key: _encoded(value) for key, value in table(sent, "stringData").items()}
        sent = without(sent, [("stringData",)]) | {"data": table(sent, "data") | texts}
    return sent


def comparable(document: Document) -> Document:
    """The object without what the server alone says of it."""
    return without(document, _SERVERS_OWN)


def shown(live: Document, *, inputs: Bag, type_: Type, manager: str) -> Bag:
    """What the engine keeps, and a program sees, of an object."""
    values = without(live, [("metadata", "managedFields"), *([APPLIED] if type_.kind == "Secret" else [])])
    values = {"apiVersion": type_.api_version, "kind": type_.kind} | values
    given = inputs.values.get("stringData")
    if type_.kind == "Secret" and given is not None:
        values["stringData"] = given
    values |= {MANAGER_KEY: manager, VERSION_KEY: type_.api_version}
    return veiled(values, inputs)


def veiled(values: Plain, like: Bag) -> Bag:
    """The values, secret wherever `like` is, and where the contents of a Secret lie."""
    whole = {name for name in like.secret if not any(path[0] == name for path in like.places)}
    if values.get("kind") == "Secret":
        whole |= {path[0] for path in _CONTENTS}
    places = {path for path in like.places if path[0] not in whole}
    secret = frozenset((whole | {path[0] for path in places}) & values.keys())
    return Bag(values=values, secret=secret, places=frozenset(path for path in places if path[0] in secret))


def hidden_texts(bags: Iterable[Bag]) -> frozenset[str]:
    """What no error may show: secret texts, as they are and as a Secret encodes them."""
    found: set[str] = set()
    for bag in bags:
        contents = _CONTENTS if bag.values.get("kind") == "Secret" else ()
        wholes = tuple((name,) for name in bag.secret)
        for path in (*bag.places, *wholes, *contents):
            if path in wholes and any(place[0] == path[0] for place in bag.places):
                continue
            found.update(leaves(at_path(bag.values, path)))
    return frozenset(found | {_encoded(text) for text in found} | set(filter(None, map(_decoded, found))))


def id_of(document: Document) -> str:
    """`shop/web`, or `web` for what lies in no namespace."""
    namespace = namespace_of(document)
    return f"{namespace}/{name_of(document)}" if namespace else name_of(document)


def parse_id(type_: Type, object_id: str) -> tuple[str, str]:
    """(namespace, name) of `[apiVersion/kind/][namespace/]name`. Raises RefusedError."""
    kind = f"{type_.api_version}/{type_.kind}/"
    rest = object_id.removeprefix(kind)
    parts = rest.split("/")
    if not all(parts) or len(parts) > 2:
        raise RefusedError(
            f"cannot read {type_.kind} {object_id!r}: give its id as NAME, NAMESPACE/NAME or {kind}NAMESPACE/NAME"
        )
    return (parts[0], parts[1]) if len(parts) == 2 else ("", parts[0])


def says_yes(document: Document, annotation: str) -> bool:
    return str(annotations_of(document).get(annotation, "")).lower() == "true"


def propagation_of(document: Document) -> str:
    """How what belongs to it is deleted, in the API's word. Raises RefusedError."""
    asked = str(annotations_of(document).get(PROPAGATION, "") or "foreground").lower()
    if asked not in {"foreground", "background", "orphan"}:
        raise RefusedError(
            f"{document.get('kind')} {id_of(document)!r}: annotation {PROPAGATION} is {asked!r}: give foreground, "
            f"background or orphan"
        )
    return asked.capitalize()


def _encoded(value: Any) -> str:
    return base64.b64encode(str(value).encode()).decode()


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
