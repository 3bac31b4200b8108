"""Operations that were interrupted: what is said of them, and what a refresh makes of creations. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from engine.errors import EngineError
from engine.resource import State, is_provider_type, provider_ref
from engine.snapshot import PendingOperation, Snapshot
from engine.steps import now


def pending_text(pending: Sequence[PendingOperation]) -> str:
    """The stock engine's warning, word for word: people search for it."""
    lines = "".join(f"  * {p.resource.urn}, interrupted while {p.type}\n" for p in pending)
    return (
        f"Attempting to deploy or update resources with {len(pending)} pending operations from previous deployment.\n"
        f"{lines}"
        "These resources are in an unknown state because the Pulumi CLI was interrupted while waiting for changes to "
        "these resources to complete. You should confirm whether or not the operations listed completed successfully "
        "by checking the state of the appropriate provider. For example, if you are using AWS, you can confirm using "
        "the AWS Console.\n"
        "\n"
        "Once you have confirmed the status of the interrupted operations, you can repair your stack using "
        "`pulumi refresh` which will refresh the state from the provider you are using and clear the pending "
        "operations if there are any.\n\n"
        "Note that `pulumi refresh` will need to be run interactively to clear pending CREATE operations."
    )


@dataclass(slots=True, kw_only=True)
class PendingCreates:
    """What is to become of creations that were interrupted, by URN: forgotten, or looked for under an id."""

    forget_all: bool = False
    forget: frozenset[str] = frozenset()
    look_for: dict[str, State] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    """URNs that no interrupted creation is of."""

    def keeps(self, pending: PendingOperation) -> bool:
        urn = pending.resource.urn
        return pending.type == "creating" and not (self.forget_all or urn in self.forget)


def pending_creates(
    snapshot: Snapshot, ids: Iterable[tuple[str, str]], *, forget: Iterable[str] = (), forget_all: bool = False
) -> PendingCreates:
    """Finds the interrupted creations that `ids`, (URN, id), are about. Raises EngineError for one that cannot be."""
    creating = {p.resource.urn: p.resource for p in snapshot.pending if p.type == "creating"}
    living = {state.urn for state in snapshot.resources if not state.delete}
    providers = {provider_ref(s.urn, s.id) for s in snapshot.resources if is_provider_type(s.type)}
    found = PendingCreates(forget_all=forget_all, forget=frozenset(forget))
    for urn, id_ in ids:
        state = creating.get(urn)
        if state is None:
            found.unknown.append(urn)
            continue
        if urn in living:
            raise EngineError(
                f"'{urn}' is in the state already: it was created after the interruption. Use --clear-pending-creates "
                "to forget the interrupted creation."
            )
        if state.provider not in providers:
            raise EngineError(f"'{urn}' cannot be looked for: its provider '{state.provider}' is not in the state")
        found.look_for[urn] = replace(state, id=id_, outputs={}, created=now(), modified=now())
    return found
