"""One object from its creation to its removal: found or made, changed, read, deleted, and waited for.

An object that is there is taken over only if it was applied under this resource's field manager, so that a run that
was killed leaves one object, never two, and never somebody else's is changed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from providers.kubernetes.awaiting import NotReady, await_deleted, await_ready, skips_await, timeout_of
from providers.kubernetes.awaiting.documents import name_of, namespace_of, part, text, title
from providers.kubernetes.cluster import ApiCluster
from providers.kubernetes.differing import Asked, ignored_steps, settled
from providers.kubernetes.errors import ApiError, NotYetError, may_have_been_done, silenced
from providers.kubernetes.marks import is_ours, manager_of, owners_of
from providers.kubernetes.objects import (
    FORCE,
    document_of,
    hidden_texts,
    id_of,
    propagation_of,
    says_yes,
    sendable,
    shown,
)
from providers.kubernetes.seam import Document
from providers.kubernetes.speaking import say, warn
from providers.kubernetes.tokens import Type
from providers.plugin.errors import ConflictError, ProviderError, RefusedError
from providers.plugin.service import Ask, Before, PartialError
from providers.plugin.wire import Bag

T = TypeVar("T")

_PREREQUISITE_SECONDS = 30.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One resource of one call: what is asked for, as it is sent."""

    ask: Ask
    type_: Type
    inputs: Bag
    asked: Asked

    @property
    def document(self) -> Document:
        return self.asked.document


def item_of(ask: Ask, type_: Type, inputs: Bag, before: Before | None = None) -> Item:
    document = document_of(type_, inputs.values)
    outputs = before.outputs if before is not None else Bag(values={})
    manager = manager_of(ask.urn, document, outputs.values)
    asked = Asked(document=document, manager=manager, hide=hidden_texts((inputs, outputs)))
    return Item(ask=ask, type_=type_, inputs=inputs, asked=asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """`taken_up`: it was there already, and is ours."""

    object_id: str
    outputs: Bag
    taken_up: bool


def create(cluster: ApiCluster, item: Item) -> Made:
    """Raises ConflictError where the object exists and is not ours, PartialError where it does not become ready."""
    placed = once_possible(cluster, lambda: _place(cluster, item))
    live = _existing(cluster, placed)
    if live is not None:
        _refuse_foreign(cluster, placed, live)
    applied = _first_applied(cluster, placed, "create")
    object_id, outputs = _awaited(cluster, placed, applied)
    return Made(object_id=object_id, outputs=outputs, taken_up=live is not None)


def update(cluster: ApiCluster, item: Item, before: Before, ignored: list[str]) -> Bag:
    document = item.document
    # A change of what is being deleted would go with it.
    live = _get(cluster, document) if item.type_.patch else _existing(cluster, item)
    if live is not None and not item.type_.patch:
        _refuse_another(cluster, item, live, text(before.outputs.values, "metadata", "uid"))
    if ignored and live is not None:
        document = settled(sendable(document), live, ignored_steps(ignored))
    applied = _apply(cluster, item, document, "update")
    former = manager_of(item.ask.urn, {}, before.outputs.values)
    if former != item.asked.manager:
        relinquish(cluster, document, former)
    return _awaited(cluster, item, applied)[1]


def delete(cluster: ApiCluster, item: Item) -> None:
    """`item` is the object as it was. Succeeds where it is gone."""
    document = item.document
    uid = text(item.inputs.values, "metadata", "uid")
    propagation = propagation_of(document)
    if not uid:
        # Nobody knows whether it was made, and whose it is that has its name.
        live = _get(cluster, document)
        if live is None or _is_anothers(item, live):
            return
        uid = text(live, "metadata", "uid")
    try:
        cluster.delete(document, propagation=propagation, uid=uid)
    except ApiError as error:
        if error.status != 409:
            raise
        live = _get(cluster, document)
        if live is None or _is_anothers(item, live):
            return
        cluster.delete(live, propagation=propagation, uid=text(live, "metadata", "uid"))
        document = live
    if not skips_await(item.document):
        _await_gone(cluster, item, document)


def _is_anothers(item: Item, live: Document) -> bool:
    """Whether somebody else has made what has the object's name; says so."""
    if is_ours(live, item.asked.manager):
        return False
    warn(f"{title(item.document)} is gone; another object has its name now, which is left alone")
    return True


def relinquish(cluster: ApiCluster, document: Document, manager: str) -> None:
    """Gives up all fields that the manager has: those that nobody else has go. Nothing to do where it is gone."""
    if _get(cluster, document) is None:
        return
    nothing = {
        "apiVersion": document["apiVersion"],
        "kind": document["kind"],
        "metadata": {key: value for key, value in document["metadata"].items() if key in {"name", "namespace"}},
    }
    cluster.apply(nothing, verb="give up fields of", manager=manager, force=False)


def patch(cluster: ApiCluster, item: Item) -> tuple[str, Bag]:
    """Sets fields of an object that something else has made; waits for that object for a while."""
    placed = once_possible(cluster, lambda: _place(cluster, item))
    once_possible(cluster, lambda: _require_existing(cluster, placed))
    applied = _first_applied(cluster, placed, "patch")
    return _awaited(cluster, placed, applied)


def once_possible(cluster: ApiCluster, action: Callable[[], T]) -> T:
    """Does it as soon as what it needs is there: a kind, a namespace, a service account that is being made."""
    end = time.monotonic() + _PREREQUISITE_SECONDS
    while True:
        try:
            return action()
        except (NotYetError, NoKindError) as error:
            left = end - time.monotonic()
            if left <= 0:
                raise
            # Always in the same words: what is said again is not shown again.
            say(f"waiting for up to {_PREREQUISITE_SECONDS:.0f} s: {error}")
        cluster.pause(_LOOK_SECONDS)


class NoKindError(RefusedError):
    """The server knows no such kind, so far."""


def _place(cluster: ApiCluster, item: Item) -> Item:
    """The item with the default namespace, if its kind lies in namespaces: known for certain only now."""
    kind = cluster.kind_of(item.type_.api_version, item.type_.kind)
    if kind is None:
        raise NoKindError(
            f"cannot create {title(item.document)}: the API server knows no kind {item.type_.kind} of "
            f"{item.type_.api_version}. Install its CustomResourceDefinition first, or correct the apiVersion"
        )
    if not kind.namespaced or namespace_of(item.document):
        return item
    metadata = {**item.document["metadata"], "namespace": cluster.config.namespace}
    return replace(item, asked=replace(item.asked, document=item.document | {"metadata": metadata}))


def _existing(cluster: ApiCluster, item: Item) -> Document | None:
    """The object, if it is there to stay."""
    live = _get(cluster, item.document)
    if live is None or not part(live, "metadata", "deletionTimestamp"):
        return live
    say(f"waiting for the deletion of the {text(live, 'kind')} that has its name")
    _await_gone(cluster, item, live)
    return None


def _await_gone(cluster: ApiCluster, item: Item, live: Document) -> None:
    seconds = timeout_of(item.document, item.ask.timeout, deleting=True)
    try:
        await_deleted(cluster.impatient(), live, timeout=seconds, report=_saying(item), cancelled=cluster.cancelled)
    except NotReady as error:
        reason = silenced(error.reason, item.asked.hide)
        raise type(error)(reason, last=error.last, object_id=error.object_id) from None


def _refuse_foreign(cluster: ApiCluster, item: Item, live: Document) -> None:
    if is_ours(live, item.asked.manager) or cluster.config.upsert:
        return
    owners = ", ".join(owners_of(live)) or "nobody"
    raise ConflictError(
        f"cannot create {title(live)}: it exists already and this resource did not make it (field managers: "
        f"{owners}). Choose another name, take it over with `pulumi import`, set some of its fields with a "
        f"{item.type_.kind}Patch, or set the provider's upsertExistingObjects"
    )


def _refuse_another(cluster: ApiCluster, item: Item, live: Document, uid: str) -> None:
    """What was deleted behind our back, and made again by somebody, is somebody's."""
    if not uid:
        # Whether it was made is not known.
        _refuse_foreign(cluster, item, live)
    elif text(live, "metadata", "uid") != uid and not is_ours(live, item.asked.manager):
        raise ConflictError(
            f"cannot update {title(live)}: it is another object than before, which this resource did not make (field "
            f"managers: {', '.join(owners_of(live))}). Run `pulumi refresh` to take it over, or remove it"
        )


def _require_existing(cluster: ApiCluster, item: Item) -> None:
    if _get(cluster, item.document) is None:
        raise NotYetError(
            f"cannot patch {title(item.document)}: there is none. Create it first, or use {item.type_.kind}", status=404
        )


def _get(cluster: ApiCluster, document: Document) -> Document | None:
    return cluster.get(text(document, "apiVersion"), text(document, "kind"), namespace_of(document), name_of(document))


def _apply(cluster: ApiCluster, item: Item, document: Document, verb: str) -> Document:
    force = cluster.config.force or says_yes(item.document, FORCE)
    return cluster.apply(sendable(document), verb=verb, manager=item.asked.manager, force=force, hide=item.asked.hide)


def _first_applied(cluster: ApiCluster, item: Item, verb: str) -> Document:
    """Raises PartialError where the server may have made it without our having heard so."""
    try:
        return once_possible(cluster, lambda: _apply(cluster, item, item.document, verb))
    except ProviderError as error:
        if not may_have_been_done(error):
            raise
        outputs = shown(item.document, inputs=item.inputs, type_=item.type_, manager=item.asked.manager)
        raise PartialError(
            f"{error}. It may have been done all the same, so that it is kept track of: apply again, or remove it",
            object_id=id_of(item.document),
            outputs=outputs,
            inputs=item.inputs,
        ) from None


def _saying(item: Item) -> Callable[[str], None]:
    return lambda words: say(silenced(words, item.asked.hide))


def _awaited(cluster: ApiCluster, item: Item, applied: Document) -> tuple[str, Bag]:
    """The id and the outputs, once it is as it is to be."""
    object_id, live, reason = id_of(applied), applied, ""
    try:
        if not skips_await(item.document):
            timeout = timeout_of(item.document, item.ask.timeout)
            live = await_ready(
                cluster.impatient(), applied, timeout=timeout, report=_saying(item), cancelled=cluster.cancelled
            )
    except NotReady as error:
        live, reason = error.last or applied, str(error)
    except ProviderError as error:
        # It is there: forgotten, nobody would ever take it away.
        reason = str(error)
    outputs = shown(live, inputs=item.inputs, type_=item.type_, manager=item.asked.manager)
    if reason:
        reason = silenced(reason, item.asked.hide)
        raise PartialError(reason, object_id=object_id, outputs=outputs, inputs=item.inputs)
    return object_id, outputs
