"""What a program asks for, completed: apiVersion and kind, a name, a namespace; and what is wrong with it.

Asks the server only whether a kind lies in namespaces.
"""

from typing import Any

from providers.kubernetes.awaiting import problems_of
from providers.kubernetes.awaiting.documents import table, text
from providers.kubernetes.cluster import ApiCluster
from providers.kubernetes.keeping import kept
from providers.kubernetes.objects import AUTONAMED, document_of, propagation_of, veiled
from providers.kubernetes.tokens import Type
from providers.plugin.errors import ProviderError, RefusedError, UnreachableError
from providers.plugin.properties import Checked, Failure, Naming, automatic_name
from providers.plugin.wire import UNKNOWN, Bag, Plain, has_unknown


def check(cluster: ApiCluster, type_: Type, news: Bag, olds: Bag, naming: Naming) -> Checked:
    values = {key: value for key, value in news.values.items() if not key.startswith("__")}
    values |= {"apiVersion": type_.api_version, "kind": type_.kind}
    metadata = values.get("metadata", {})
    failures: list[Failure] = []
    if isinstance(metadata, dict):
        old = table(olds.values, "metadata")
        try:
            metadata = _named(type_, metadata, old, naming)
        except RefusedError as error:
            failures.append(Failure(property="metadata.name", reason=str(error)))
        values["metadata"] = _placed(cluster, type_, metadata, old)
    elif metadata is not UNKNOWN:
        failures.append(Failure(property="metadata", reason="property 'metadata' must be an object"))
    if not has_unknown(values.get("metadata")) and not failures:
        failures += _wrong_annotations(document_of(type_, values))
    try:
        values = kept(values, olds.values)
    except RefusedError as error:
        failures.append(Failure(property="spec", reason=str(error)))
    return Checked(inputs=veiled(values, news), failures=tuple(failures))


def _named(type_: Type, metadata: Plain, old: Plain, naming: Naming) -> Plain:
    """The metadata with a name: that of before, where that was chosen here. Raises RefusedError."""
    if metadata.get("name") is not None:
        return metadata
    if type_.patch:
        raise RefusedError(f"{type_.kind}Patch needs metadata.name: the name of the {type_.kind} to change")
    stem = metadata.get("generateName")
    if stem is UNKNOWN:
        return metadata
    if isinstance(stem, str) and stem:
        before = old.get("name") if old.get("generateName") == stem else None
        return metadata | {"name": before or automatic_name(stem, naming.seed)}
    annotations = metadata.get("annotations")
    marked = text(old, "annotations", AUTONAMED) == "true"
    if marked and old.get("name"):
        name = str(old["name"])
    elif naming.disabled:
        raise RefusedError("no name is given, and automatic naming is switched off")
    else:
        name = naming.fixed or automatic_name(f"{naming.logical_name}-", naming.seed)
    named: Plain = metadata | {"name": name}
    if annotations is not UNKNOWN:
        named["annotations"] = {**(annotations or {}), AUTONAMED: "true"}
    return named


def _placed(cluster: ApiCluster, type_: Type, metadata: Plain, old: Plain) -> Plain:
    """The metadata with a namespace, if and only if the kind lies in one, as far as that is known yet."""
    try:
        kind = cluster.kind_of(type_.api_version, type_.kind)
    except UnreachableError:
        config = cluster.config
        if not (config.skip_update_unreachable or config.delete_unreachable):
            raise
        before = {"namespace": old["namespace"]} if old.get("namespace") else {}
        return before | metadata
    if kind is None:
        return metadata
    if not kind.namespaced:
        return {key: value for key, value in metadata.items() if key != "namespace"}
    given = metadata.get("namespace")
    return metadata if given else metadata | {"namespace": cluster.config.namespace}


def _wrong_annotations(document: dict[str, Any]) -> list[Failure]:
    problems = problems_of(document)
    try:
        propagation_of(document)
    except ProviderError as error:
        problems.append(str(error))
    return [Failure(property="metadata.annotations", reason=problem) for problem in problems]
