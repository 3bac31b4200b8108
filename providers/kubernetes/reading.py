"""What an object is like now: for a refresh, what of it differs from what was asked for; for an import, all of it."""

import base64
import binascii
from typing import Any

from providers.kubernetes.awaiting.documents import table
from providers.kubernetes.cluster import ApiCluster
from providers.kubernetes.differing import Asked, dry_run
from providers.kubernetes.lifecycle import Item
from providers.kubernetes.objects import APPLIED, comparable, sendable, shown, veiled
from providers.kubernetes.quantity import quantity
from providers.kubernetes.seam import Document
from providers.kubernetes.trees import differences, with_known_parts, without
from providers.plugin.errors import ProviderError, UnreachableError
from providers.plugin.properties import Change
from providers.plugin.wire import Bag

_CLIENTS_OWN = (
    APPLIED,
    ("metadata", "annotations", "deployment.kubernetes.io/revision"),
)


def imported(live: Document, item: Item) -> tuple[Bag, Bag]:
    """(outputs, inputs) of an object that no state knows."""
    inputs = veiled(without(comparable(live), _CLIENTS_OWN), item.inputs)
    return shown(live, inputs=inputs, type_=item.type_, manager=item.asked.manager), inputs


def refreshed(cluster: ApiCluster, live: Document, item: Item) -> tuple[Bag, Bag]:
    """(outputs, inputs): the inputs as they were, but for what is otherwise in the object."""
    inputs = item.inputs
    if _drifted(cluster, live, item.asked):
        readable = _with_texts(live, inputs.values)
        asked = {key: value for key, value in inputs.values.items() if not key.startswith("__")}
        inputs = Bag(values=with_known_parts(asked, readable), secret=inputs.secret, places=inputs.places)
    outputs = shown(live, inputs=inputs, type_=item.type_, manager=item.asked.manager)
    return outputs, veiled(inputs.values, inputs)


def _drifted(cluster: ApiCluster, live: Document, asked: Asked) -> bool:
    """Whether the object is not as it was asked for."""
    sent, seen = sendable(asked.document), comparable(live)
    found = differences(sent, with_known_parts(sent, seen))
    if all(change is Change.UPDATE and _equal(sent, seen, steps) for steps, change in found.items()):
        return False
    try:
        pair = dry_run(cluster, asked)
    except UnreachableError:
        raise
    except ProviderError:
        # It may not be asked, or cannot be made so any more: then what is seen counts.
        return True
    return pair is None or bool(differences(*pair))


def _equal(sent: Any, seen: Any, steps: tuple[str | int, ...]) -> bool:
    """Whether both are the same quantity."""
    for step in steps:
        try:
            sent, seen = sent[step], seen[step]
        except (KeyError, IndexError, TypeError):
            return False
    how_much = quantity(sent)
    return how_much is not None and how_much == quantity(seen)


def _with_texts(live: Document, asked: dict[str, Any]) -> Document:
    """A Secret as the program wrote it, with texts where the server has them encoded."""
    given = table(asked, "stringData")
    if live.get("kind") != "Secret" or not given:
        return live
    data = table(live, "data")
    texts = {key: _text(data[key]) for key in given if key in data}
    return live | {"stringData": texts, "data": {key: value for key, value in data.items() if key not in given}}


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode()
    except (binascii.Error, ValueError):
        return encoded
