"""What an update would change, as the server itself says: the object as it is, against a dry run of what is asked for.

So what the server fills in, or spells otherwise, is no change. Where it cannot be asked, the inputs are compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from providers.kubernetes.awaiting.documents import name_of, namespace_of, text
from providers.kubernetes.cluster import ApiCluster
from providers.kubernetes.errors import ApiError, ImmutableError, MissingError, NotYetError
from providers.kubernetes.objects import comparable, sendable
from providers.kubernetes.replacing import replaced_blindly, replaced_by_refusal, replaced_contents
from providers.kubernetes.seam import Document
from providers.kubernetes.trees import Steps, differences, lies_under, steps_of, taken_from
from providers.plugin.errors import AccessError
from providers.plugin.properties import Change

_LOOKS = 3
Changes = dict[Steps, Change]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An object as it was and is asked for; `hide` appears in no error."""

    document: Document
    manager: str
    ignored: tuple[Steps, ...] = ()
    hide: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        return text(self.document, "kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    changes: Changes
    replaces: frozenset[Steps] = frozenset()


def dry_run(cluster: ApiCluster, asked: Asked) -> tuple[Document, Document] | None:
    """(as it is, as it would be), without what only the server says; None where there is no such object."""
    document = asked.document
    found: tuple[Document, Document] | None = None
    for _ in range(_LOOKS):
        live = cluster.get(text(document, "apiVersion"), asked.kind, namespace_of(document), name_of(document))
        if live is None:
            return None
        sent = settled(sendable(document), live, asked.ignored)
        # By force, since a conflict is not what was asked about: an update will tell.
        would = cluster.apply(sent, verb="compare", manager=asked.manager, force=True, dry_run=True, hide=asked.hide)
        found = comparable(live), comparable(would)
        if text(live, "metadata", "resourceVersion") == text(would, "metadata", "resourceVersion"):
            break
    return found


def settled(document: Document, live: Document, ignored: Iterable[Steps]) -> Document:
    """The document with what is ignored as it is."""
    for steps in ignored:
        document = taken_from(document, live, steps)
    return document


def compare(cluster: ApiCluster, asked: Asked, by_inputs: Changes) -> Found:
    """What changes, and which of it needs another object. Raises what is wrong with what is asked for."""
    mutable = cluster.config.mutable
    blind = Found(changes=by_inputs, replaces=replaced_blindly(asked.kind, by_inputs, mutable))
    try:
        pair = dry_run(cluster, asked)
    except ImmutableError as error:
        return Found(changes=by_inputs, replaces=replaced_by_refusal(asked.kind, by_inputs, error.fields))
    except (AccessError, MissingError, NotYetError):
        return blind
    except ApiError as error:
        if "dry run" in str(error):
            # A webhook that has side effects is not asked in a dry run.
            return blind
        raise
    if pair is None:
        return Found(changes=by_inputs)
    changes = {
        steps: change
        for steps, change in differences(*pair).items()
        if not any(lies_under(steps, each) for each in asked.ignored)
    }
    return Found(changes=changes, replaces=replaced_contents(asked.kind, changes, mutable))


def ignored_steps(patterns: Sequence[str]) -> tuple[Steps, ...]:
    return tuple(steps_of(pattern) for pattern in patterns)
