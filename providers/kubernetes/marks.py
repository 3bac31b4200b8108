"""Whose an object is: each resource applies under a field manager of its own, by which a later run knows it. Pure.

The name comes from the resource's URN, without the versions of API groups, so that it outlives a change of apiVersion.
A program that names the manager itself (annotation pulumi.com/patchFieldManager) says by that name whose the object is.
"""

import hashlib

from providers.kubernetes.awaiting.documents import annotations_of, items, text
from providers.kubernetes.objects import MANAGER, MANAGER_KEY
from providers.kubernetes.seam import Document
from providers.plugin.wire import Plain

_PREFIX = "pulumi-kubernetes-"


def manager_of(urn: str, document: Document, outputs: Plain | None = None) -> str:
    """The field manager of a resource: named by the program, known from before, or the resource's own."""
    named = annotations_of(document).get(MANAGER)
    if isinstance(named, str) and named:
        return named
    known = (outputs or {}).get(MANAGER_KEY)
    return known if isinstance(known, str) and known else _own(urn)


def is_ours(live: Document, manager: str) -> bool:
    """Whether the object was applied under that manager."""
    return any(
        text(entry, "manager") == manager and text(entry, "operation") == "Apply"
        for entry in items(live, "metadata", "managedFields")
    )


def owners_of(live: Document) -> list[str]:
    """Who else has fields of it, for a message."""
    return sorted({text(entry, "manager") for entry in items(live, "metadata", "managedFields")} - {""})


def _own(urn: str) -> str:
    types, _, name = urn.partition("::")[2].rpartition("::")
    kinds = "$".join(each.rpartition(":")[2] for each in types.split("$"))
    stack = urn.partition("::")[0]
    return _PREFIX + hashlib.sha256(f"{stack}::{types.partition('::')[0]}::{kinds}::{name}".encode()).hexdigest()[:16]
