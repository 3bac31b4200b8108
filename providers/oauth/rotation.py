"""How a client's secret is exchanged, and what becomes of the one before it.

`successor`, which every server can: another client is registered, and the one before it is deleted when its time of
grace is over; the client_id changes with the secret. `keycloak`: Keycloak's own exchange, which keeps the client_id,
and the old secret only where the realm's policy does. Either way a rotation that was cut off is carried on by the next
run, not begun anew: the state's secret must stay the last but one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from providers.errors import ConfigurationError, ProviderError
from providers.oauth.clients import Clients, Held
from providers.oauth.registration import Registered


class Kind(StrEnum):
    CLIENT = "client"
    SECRET = "secret"  # noqa: S105 - what ends, not a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """A client, or a client's secret before the present one, that ends at `until` (Unix time)."""

    kind: Kind
    held: Held
    until: int

    def as_state(self) -> dict[str, Any]:
        return {"kind": str(self.kind), "until": self.until, **dataclasses.asdict(self.held)}

    @classmethod
    def of_state(cls, kept: Mapping[str, Any]) -> Retired:
        held = Held(**{name: str(kept[name]) for name in ("client_id", "secret", "uri", "token")})
        return cls(kind=Kind(kept["kind"]), held=held, until=int(kept["until"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    current: Registered
    retired: Retired | None


class Rotation(Protocol):
    def left(self, held: Held, retired: Sequence[Retired]) -> tuple[Retired, ...]:
        """What of `retired` does not end with this rotation of `held` by itself."""

    def rotated(self, held: Held, retired: Sequence[Retired], grace_seconds: int, now: int) -> Rotated:
        """The client with another secret, and what is to end after the grace. Raises ProviderError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    clients: Clients

    def left(self, held: Held, retired: Sequence[Retired]) -> tuple[Retired, ...]:  # noqa: ARG002
        return tuple(retired)

    def rotated(self, held: Held, retired: Sequence[Retired], grace_seconds: int, now: int) -> Rotated:
        # A new client has no scopes that could be dropped.
        anew = dataclasses.replace(self.clients, wanted=dataclasses.replace(self.clients.wanted, dropped=()))
        current = anew.made(known={held.client_id, *(each.held.client_id for each in retired)})
        return Rotated(current=current, retired=Retired(kind=Kind.CLIENT, held=held, until=now + grace_seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeycloakSecret:
    clients: Clients

    def left(self, held: Held, retired: Sequence[Retired]) -> tuple[Retired, ...]:
        # Keycloak keeps one old secret of a client: ending an earlier one would end the one that takes its place.
        return tuple(each for each in retired if (each.kind, each.held.client_id) != (Kind.SECRET, held.client_id))

    def rotated(self, held: Held, retired: Sequence[Retired], grace_seconds: int, now: int) -> Rotated:  # noqa: ARG002
        keycloak, what = self.clients.keycloak, self.clients.what
        if keycloak is None:
            raise ConfigurationError(f"{what}: rotation: keycloak needs the region's administrator (adminUserFrom).")
        current = self.clients.ensured(held)
        found = keycloak.secret(held.client_id, what)
        # Another one already: a run before this one has exchanged it, and was cut off.
        if found == held.secret:
            if grace_seconds and not keycloak.keeps_old(held.client_id, what):
                raise ConfigurationError(
                    f"{what}: {self.clients.server.name} keeps no old secret for {grace_seconds} s. Give its realm a "
                    "client policy with secret-rotation (feature client-secret-rotation), set the region's rotation to "
                    "successor, or the grace to 0."
                )
            found = keycloak.exchange(held.client_id, what)
        until = min(keycloak.old_until(held.client_id, what), now + grace_seconds)
        ending = Retired(kind=Kind.SECRET, held=held, until=until) if until else None
        return Rotated(current=dataclasses.replace(current, secret=found), retired=ending)


def rotation_of(clients: Clients) -> Rotation:
    if clients.server.backend.rotation == "keycloak":
        return KeycloakSecret(clients=clients)
    return Successor(clients=clients)


def due(retired: Sequence[Retired], now: int) -> bool:
    return any(each.until <= now for each in retired)


def ended(clients: Clients, retired: Sequence[Retired], now: int) -> tuple[Retired, ...]:
    """Ends what is due; gives what is not. Raises ProviderError."""
    for each in retired:
        if each.until <= now:
            _end(clients, each)
    return tuple(each for each in retired if each.until > now)


def ended_if_possible(clients: Clients, retired: Sequence[Retired], now: int) -> tuple[Retired, ...]:
    """The same at an update's end, when a failure would lose the secret just made: what failed is due the next time."""
    left: list[Retired] = []
    for each in retired:
        try:
            left.extend(ended(clients, [each], now))
        except ProviderError:
            left.append(each)
    return tuple(left)


def _end(clients: Clients, retired: Retired) -> None:
    if retired.kind is Kind.CLIENT:
        clients.removed(retired.held)
    elif clients.keycloak is not None:
        clients.keycloak.end_old(retired.held.client_id, clients.what)
