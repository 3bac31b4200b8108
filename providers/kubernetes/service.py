"""The package as the gRPC layer wants it: which object each call is about, and what is done with it.

Decides what is served, and what becomes of calls while the cluster cannot be reached.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from functools import cache

from providers.kubernetes import checking, config, decoding, lifecycle, reading
from providers.kubernetes.awaiting import NotReady, await_ready, skips_await
from providers.kubernetes.awaiting.documents import annotations_of, name_of, namespace_of, text, title
from providers.kubernetes.cluster import ApiCluster
from providers.kubernetes.differing import Asked, Changes, Found, compare, ignored_steps
from providers.kubernetes.lifecycle import Item, item_of
from providers.kubernetes.marks import is_ours
from providers.kubernetes.objects import (
    AUTONAMED,
    REPLACE_UNREADY,
    document_of,
    id_of,
    parse_id,
    says_yes,
    veiled,
)
from providers.kubernetes.replacing import replaced_blindly
from providers.kubernetes.seam import Document
from providers.kubernetes.speaking import speaking, warn
from providers.kubernetes.tokens import Type, refuse_foreign, type_of
from providers.kubernetes.trees import Steps, differences, written
from providers.plugin.engine_log import EngineLog
from providers.plugin.errors import CancelledError, RefusedError, UnreachableError
from providers.plugin.properties import Change, Checked, Naming
from providers.plugin.service import Ask, Before, Difference, PartialError
from providers.plugin.wire import UNKNOWN, Bag, Path, Plain, has_unknown

_KEY: tuple[Path, ...] = (("metadata", "name"), ("metadata", "namespace"))
_SETTLING_SECONDS = 2.0
"""How long an object that is only looked at may take to be ready: somebody may have changed it just now."""
_CHANGES_EACH_TIME = ("resourceVersion", "generation")


class Kubernetes:
    """A `providers.plugin.service.Service`. Safe to use from many threads."""

    name = "kubernetes"
    preload = "providers.kubernetes.sdk"
    stable_names = False

    def __init__(self) -> None:
        self._args: Plain = {}
        self._cluster: ApiCluster | None = None
        self._mutex = threading.Lock()
        self._cancelled = False
        self._taken_up: set[tuple[str, ...]] = set()
        """Objects that this operation found there and took up: group, kind and id of each; and its uid."""

    @property
    def version(self) -> str:
        return _version()

    def schema(self) -> str:
        """What the package is called and configured with; its types are the API server's, which no schema lists."""
        variables = {prop.name: {"type": "string"} for prop in config.SPEC if not prop.refused}
        described = {"name": self.name, "version": self.version, "config": {"variables": variables}, "resources": {}}
        return json.dumps(described, sort_keys=True)

    # Its configuration.

    def check_config(self, news: Bag) -> tuple[Bag, list[tuple[str, str]]]:
        return config.check(news)

    def config_replaces(self, olds: Plain, news: Plain, changed: Sequence[str]) -> frozenset[str]:
        if has_unknown(olds) or has_unknown(news) or not config.replaces(olds, news):
            return frozenset()
        return frozenset(changed)

    def configure(self, args: Plain, log: EngineLog) -> None:  # noqa: ARG002 - each call brings its voice
        with self._mutex:
            self._args = args
            self._cluster = None
            self._taken_up.clear()
        if not has_unknown(args):
            self._connectable()

    def cancel(self) -> None:
        with self._mutex:
            self._cancelled = True
            cluster = self._cluster
        if cluster is not None:
            cluster.cancel()

    # One resource.

    def check(self, ask: Ask, news: Bag, olds: Bag, naming: Naming) -> Checked:
        with speaking(ask.voice):
            return checking.check(self._connectable(), type_of(ask.type, news.values), news, olds, naming)

    def diff(self, ask: Ask, before: Before, news: Bag, ignored: Sequence[str]) -> Difference:
        with speaking(ask.voice):
            cluster, type_ = self._connectable(), type_of(ask.type, news.values)
            old = document_of(type_, before.inputs.values)
            new = document_of(type_, news.values)
            by_inputs = {steps: change for steps, change in differences(old, new).items() if steps != ("apiVersion",)}
            moved = _moved(before, new, cluster.config.namespace)
            found = Found(changes=by_inputs | moved, replaces=frozenset(moved))
            if by_inputs and not moved:
                found = self._compare(cluster, ask, type_, before, news, ignored, by_inputs)
            found = self._unready(cluster, before, new, found)
            named = annotations_of(new).get(AUTONAMED) != "true" and not type_.patch
            return Difference(
                by_name={written(steps): change for steps, change in found.changes.items()},
                replaces=frozenset(written(steps) for steps in found.replaces),
                # Of two objects of one name, the second cannot be made while the first is there.
                delete_before_replace=named and not moved,
            )

    def _compare(
        self,
        cluster: ApiCluster,
        ask: Ask,
        type_: Type,
        before: Before,
        news: Bag,
        ignored: Sequence[str],
        by_inputs: Changes,
    ) -> Found:
        item = item_of(ask, type_, news, before)
        if has_unknown(item.document):
            return Found(changes=by_inputs, replaces=replaced_blindly(type_.kind, by_inputs, cluster.config.mutable))
        asked = Asked(
            document=item.document, manager=item.asked.manager, ignored=ignored_steps(ignored), hide=item.asked.hide
        )
        try:
            found = compare(cluster, asked, by_inputs)
        except UnreachableError as error:
            if not cluster.config.skip_update_unreachable:
                raise
            warn(f"{title(item.document)} is left as it is (skipUpdateUnreachable): {error}")
            return Found(changes={})
        return Found(changes=found.changes) if type_.patch else found

    def _unready(self, cluster: ApiCluster, before: Before, new: Document, found: Found) -> Found:
        """With pulumi.com/replaceUnready, what is not ready is made anew."""
        if not says_yes(new, REPLACE_UNREADY) or found.replaces or skips_await(new):
            return found
        live = cluster.get(
            text(new, "apiVersion"),
            text(new, "kind"),
            text(before.outputs.values, "metadata", "namespace"),
            name_of(new),
        )
        if live is None or _reason_unready(cluster, live) == "":
            return found
        steps: Steps = ("metadata", "annotations", REPLACE_UNREADY)
        return Found(changes=found.changes | {steps: Change.UPDATE}, replaces=frozenset({steps}))

    def preview_create(self, ask: Ask, inputs: Bag) -> Bag:
        type_of(ask.type, inputs.values)
        return veiled(_foreseen(inputs.values), inputs)

    def create(self, ask: Ask, inputs: Bag) -> tuple[str, Bag]:
        with speaking(ask.voice):
            type_ = type_of(ask.type, inputs.values)
            _require_known(ask, inputs)
            cluster, item = self._connectable(), item_of(ask, type_, inputs)
            if type_.patch:
                return lifecycle.patch(cluster, item)
            made = lifecycle.create(cluster, item)
            if made.taken_up:
                self._taken_up |= _names(type_, made.object_id, made.outputs)
            return made.object_id, made.outputs

    def read(self, ask: Ask, before: Before) -> tuple[str, Bag, Bag] | None:
        with speaking(ask.voice):
            cluster = self._connectable()
            importing = not before.outputs.values and not before.inputs.values
            type_ = type_of(ask.type, before.inputs.values)
            if importing and type_.patch:
                raise RefusedError(f"cannot import {ask.type} {ask.object_id!r}: a patch is nothing to read. Create it")
            known = before.inputs if before.inputs.values else before.outputs
            item = item_of(ask, type_, self._sought(cluster, ask, type_) if importing else known, before)
            document = document_of(type_, before.outputs.values) if before.outputs.values else item.document
            try:
                live = cluster.get(type_.api_version, type_.kind, namespace_of(document), name_of(document))
            except UnreachableError as error:
                if not cluster.config.delete_unreachable:
                    raise
                warn(f"{title(document)} is taken for gone (deleteUnreachable): {error}")
                return None
            if live is None or _was_never_made(item, live, before):
                return None
            return self._read(cluster, live, item, importing=importing or not before.inputs.values)

    def _read(self, cluster: ApiCluster, live: Document, item: Item, *, importing: bool) -> tuple[str, Bag, Bag]:
        outputs, inputs = reading.imported(live, item) if importing else reading.refreshed(cluster, live, item)
        reason = "" if item.type_.patch or skips_await(item.document) else _reason_unready(cluster, live)
        if reason:
            raise PartialError(reason, object_id=id_of(live), outputs=outputs, inputs=inputs)
        return id_of(live), outputs, inputs

    def _sought(self, cluster: ApiCluster, ask: Ask, type_: Type) -> Bag:
        namespace, name = parse_id(type_, ask.object_id)
        kind = cluster.kind_of(type_.api_version, type_.kind)
        if kind is not None and kind.namespaced and not namespace:
            namespace = cluster.config.namespace
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        return Bag(values={"metadata": metadata})

    def preview_update(self, ask: Ask, before: Before, news: Bag) -> Bag:
        type_of(ask.type, news.values)
        values = _laid_over(before.outputs.values, before.inputs.values, news.values)
        metadata = dict(values.get("metadata") or {})
        values["metadata"] = metadata | dict.fromkeys(_CHANGES_EACH_TIME, UNKNOWN)
        return veiled(values, news)

    def update(self, ask: Ask, before: Before, news: Bag, ignored: Sequence[str]) -> Bag:
        with speaking(ask.voice):
            type_ = type_of(ask.type, news.values)
            _require_known(ask, news)
            cluster, item = self._connectable(), item_of(ask, type_, news, before)
            try:
                return lifecycle.update(cluster, item, before, list(ignored))
            except UnreachableError as error:
                if not cluster.config.skip_update_unreachable:
                    raise
                warn(f"{title(item.document)} is left as it was (skipUpdateUnreachable): {error}")
                return before.outputs

    def delete(self, ask: Ask, before: Before) -> None:
        with speaking(ask.voice):
            type_ = type_of(ask.type, before.inputs.values or before.outputs.values)
            cluster, item = self._connectable(), item_of(ask, type_, before.outputs, before)
            if self._taken_up & _names(type_, ask.object_id, before.outputs):
                # It was to be replaced by an object of the same name: that one is the same object, changed.
                return
            try:
                if type_.patch:
                    lifecycle.relinquish(cluster, item.document, item.asked.manager)
                else:
                    lifecycle.delete(cluster, item)
            except UnreachableError as error:
                if not cluster.config.delete_unreachable:
                    raise
                warn(f"{title(item.document)} is taken for gone (deleteUnreachable): {error}")

    # What is no resource.

    def invoke(self, token: str, args: Bag) -> Bag:
        refuse_foreign(token, "function")
        if token == "kubernetes:yaml:decode":  # noqa: S105 - a name
            return decoding.decode(args)
        raise RefusedError(f"function {token} is not served here: install the stock plugin for it")

    def no_component(self, type_: str) -> str:
        try:
            refuse_foreign(type_, "component")
        except RefusedError as error:
            return str(error)
        return f"component {type_} is not served here: install the stock plugin for it"

    def _connectable(self) -> ApiCluster:
        with self._mutex:
            if self._cancelled:
                raise CancelledError("cancelled: the engine asked the kubernetes provider to stop")
            if self._cluster is None:
                self._cluster = ApiCluster(config.resolve(self._args))
            return self._cluster


def _moved(before: Before, new: Document, default: str) -> Changes:
    """Whether the object has another name or place: that is another object."""
    olds = before.outputs.values or before.inputs.values
    found: Changes = {}
    if new.get("metadata") is UNKNOWN:
        return found
    for path in _KEY:
        old, asked = text(olds, *path), text(new, *path)
        if path[-1] == "namespace" and old and not asked:
            asked = default
        if old and old != asked:
            found[path] = Change.UPDATE
    return found


def _was_never_made(item: Item, live: Document, before: Before) -> bool:
    """Whether the answer to a creation was lost, and what has the object's name is another's."""
    unsure = bool(before.outputs.values) and not text(before.outputs.values, "metadata", "uid")
    return unsure and not item.type_.patch and not is_ours(live, item.asked.manager)


def _names(type_: Type, object_id: str, outputs: Bag) -> set[tuple[str, ...]]:
    """By what an object is known again: also in another group, as an Event of events.k8s.io is one of the core."""
    uid = text(outputs.values, "metadata", "uid")
    group = type_.api_version.rpartition("/")[0]
    return {(group, type_.kind, object_id)} | ({(uid,)} if uid else set())


def _reason_unready(cluster: ApiCluster, live: Document) -> str:
    try:
        await_ready(cluster, live, timeout=_SETTLING_SECONDS, report=lambda _: None, cancelled=cluster.cancelled)
    except NotReady as error:
        return str(error)
    return ""


def _foreseen(values: Plain) -> Plain:
    """An object to be, as a preview shows it: what the server will choose is not known."""
    found = dict(values)
    metadata = found.get("metadata")
    if isinstance(metadata, dict):
        found["metadata"] = metadata | dict.fromkeys(("uid", "creationTimestamp", *_CHANGES_EACH_TIME), UNKNOWN)
    found.setdefault("status", UNKNOWN)
    spec = found.get("spec")
    if found.get("kind") == "Service" and isinstance(spec, dict):
        found["spec"] = {"clusterIP": UNKNOWN, "clusterIPs": UNKNOWN, **spec}
    if found.get("kind") == "Secret" and "stringData" in found:
        found.setdefault("data", UNKNOWN)
    return found


def _laid_over(outputs: Plain, old: Plain, new: Plain) -> Plain:
    """The outputs with what the inputs change."""
    found = dict(outputs)
    for key in old.keys() | new.keys():
        was, asked = old.get(key), new.get(key)
        if key not in new:
            found.pop(key, None)
        elif isinstance(asked, dict) and isinstance(found.get(key), dict):
            found[key] = _laid_over(found[key], was if isinstance(was, dict) else {}, asked)
        elif asked != was or key not in found:
            found[key] = asked
    return found


def _require_known(ask: Ask, inputs: Bag) -> None:
    unknown = sorted(name for name, value in inputs.values.items() if has_unknown(value))
    if unknown:
        name = ask.urn.rpartition("::")[2]
        raise RefusedError(f"{ask.type} {name!r} cannot be handled yet: {', '.join(unknown)} not known")


@cache
def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pulumi-kubernetes")
    except PackageNotFoundError:
        return "0.0.0"
