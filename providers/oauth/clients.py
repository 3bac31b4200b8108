"""One tenant's clients at one authorization server: adopted or registered, read, changed, deleted.

Decides whose a client is (its whole name, and its software_id where the server keeps one), what is done about one whose
registration access token is lost, and what is said where nobody can help. Which of them is current is `rotation`'s.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NoReturn

from providers.errors import OwnershipError, ProviderError, RefusedError, UnreachableError
from providers.oauth.finding import Finder, finder_of
from providers.oauth.keycloak import Keycloak, keycloak_of
from providers.oauth.registration import Registered, Wanted, WrongTokenError, change, delete, read, register
from providers.oauth.server import Server, server_of
from providers.oauth.token import Works, works

_GONE = frozenset({404, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A client as a state keeps it."""

    client_id: str
    secret: str = field(repr=False)
    uri: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """`what` names the object in errors. `finder` is None where the server cannot be asked which clients it has."""

    server: Server
    keycloak: Keycloak | None
    finder: Finder | None
    wanted: Wanted
    what: str

    def made(self, known: Collection[str] = ()) -> Registered:
        """A client as wanted, with its secret: one that an interrupted run has left, or a new one.

        `known` are the client_ids that the state has: they are not left over. Raises ProviderError.
        """
        left = self._left(known)
        if left:
            adopted = self._adopted(left)
            if adopted is not None:
                return adopted
        try:
            new = register(self.server, self.wanted, self._initial_token(), self.what)
        except (UnreachableError, RefusedError) as error:
            if isinstance(error, RefusedError) and error.status < 500:
                raise self._not_let_in(error) from None
            # The server may have registered it: its answer was lost.
            if self.finder is None:
                raise self._perhaps_left(error) from None
            adopted = self._adopted(self._left(known))
            if adopted is None:
                raise
            return adopted
        return self._complete(new)

    def seen(self, held: Held) -> Registered | None:
        """The client as it is; None where it is gone. It changes nothing: a lost token is left empty."""
        try:
            return self._owned(read(self.server, held.uri, held.token, self.what))
        except RefusedError as error:
            if error.status in _GONE:
                return None
            if not isinstance(error, WrongTokenError):
                raise
        if self.finder is not None:
            there = self.finder.exists(held.client_id, self.wanted.mark, self.what)
            return self._without_token(held, "") if there else None
        # Nothing more can be known about it, and the next change of it says so.
        return None if self._works(held) is Works.GONE else self._without_token(held, held.token)

    def ensured(self, held: Held) -> Registered:
        """The client, changed to what is wanted where it differs. Raises ProviderError where it is gone.

        It may still not be all that is wanted, where an error would lose what its change has renewed: its outputs say
        so, and the department's health check fails.
        """
        found = self._current(held)
        if not self.wanted.met_by(found):
            found = change(self.server, found.uri, found.token, held.client_id, self.wanted, self.what)
        found = dataclasses.replace(found, secret=found.secret or held.secret)
        return found if self._renewed(held, found) else self._complete(found, new=False)

    def removed(self, held: Held) -> None:
        """Deletes the client; one that is gone is no failure. Raises ProviderError where it cannot be deleted."""
        try:
            delete(self.server, held.uri, held.token, self.what)
            return
        except WrongTokenError:
            pass  # it is gone, or its token is another one
        if self.finder is not None:
            self._remove_found(held.client_id)
        elif self._works(held) is not Works.GONE:
            self._locked_out(held)

    def _left(self, known: Collection[str]) -> list[str]:
        if self.finder is None:
            return []
        return [client_id for client_id in self.finder.named(self.wanted, self.what) if client_id not in known]

    def _adopted(self, left: list[str]) -> Registered | None:
        """The last one of those that are left, without the others; None where it is of no use and was deleted."""
        if not left:
            return None
        for client_id in left[:-1]:
            self._remove_found(client_id)
        renewed = self._finder().renewed(left[-1], self.what)
        if renewed is None:
            return None
        found = self._owned(read(self.server, *renewed, self.what))
        if found.secret is None:
            # Nobody has its secret, and nobody will.
            delete(self.server, found.uri, found.token, self.what)
            return None
        if not self.wanted.met_by(found):
            changed = change(self.server, found.uri, found.token, found.client_id, self.wanted, self.what)
            found = dataclasses.replace(changed, secret=changed.secret or found.secret)
        return self._complete(found)

    def _current(self, held: Held) -> Registered:
        try:
            return self._owned(read(self.server, held.uri, held.token, self.what))
        except RefusedError as error:
            if not isinstance(error, WrongTokenError) and error.status not in _GONE:
                raise
            gone = error.status in _GONE
        if self.finder is not None:
            renewed = None if gone else self.finder.renewed(held.client_id, self.what)
            if renewed is not None:
                return self._owned(read(self.server, *renewed, self.what))
        elif not gone and self._works(held) is not Works.GONE:
            self._locked_out(held)
        raise ProviderError(
            f"{self.what}: its client {held.client_id!r} is gone from {self.server.name}. "
            "Run refresh, then up, to make it again."
        )

    def _remove_found(self, client_id: str) -> None:
        renewed = self._finder().renewed(client_id, self.what)
        if renewed is not None:
            delete(self.server, *renewed, self.what)

    def _renewed(self, held: Held, found: Registered) -> bool:
        """Whether `found` has what nobody has but this answer: without it the client could not be used or deleted."""
        if found.secret != held.secret:
            return True
        return self.finder is None and (found.uri, found.token) != (held.uri, held.token)

    def _complete(self, found: Registered, *, new: bool = True) -> Registered:
        """`found`, if it is all that was wanted. Otherwise a new one is deleted, and ProviderError raised."""
        reason = ""
        if not found.secret:
            reason = "gives it no secret: allow confidential clients (client_secret_basic)"
        elif not found.as_asked:
            reason = "does not let it use client_credentials with client_secret_basic: allow both for clients"
        elif missing := self.wanted.missing(found):
            reason = f"does not give it the scopes {', '.join(missing)}: add them there, or take them away here"
        elif kept := self.wanted.kept(found):
            reason = f"leaves it the scopes {', '.join(kept)}, though none is wanted now: take them from it there"
        if not reason:
            return found
        if new:
            delete(self.server, found.uri, found.token, self.what)
        raise ProviderError(f"{self.what}: {self.server.name} {reason}.")

    def _owned(self, found: Registered) -> Registered:
        if found.software_id not in {None, self.wanted.mark}:
            raise OwnershipError(
                f"{self.what}: the client {found.client_id!r} at {self.server.name} belongs to {found.software_id}. "
                "Give that tenant's client another place, or choose another name."
            )
        return found

    def _without_token(self, held: Held, token: str) -> Registered:
        return Registered(
            client_id=held.client_id,
            secret=held.secret,
            uri=held.uri,
            token=token,
            name=self.wanted.full_name,
            scopes=tuple(self.wanted.scopes),
            software_id=None,
            as_asked=True,
            expires_at=0,
        )

    def _initial_token(self) -> str | None:
        if self.server.initial_token is None and self.keycloak is not None:
            return self.keycloak.initial_token(self.what)
        return self.server.initial_token

    def _works(self, held: Held) -> Works:
        verify = self.server.backend.ca_file or True
        return works(self.server.token_endpoint, held.client_id, held.secret, what=self.what, verify=verify)

    def _finder(self) -> Finder:
        if self.finder is None:
            raise ProviderError(f"{self.what}: {self.server.name} cannot be asked which clients it has.")
        return self.finder

    def _not_let_in(self, error: RefusedError) -> RefusedError:
        if not isinstance(error, WrongTokenError) or error.status == 403:
            return error
        advice = (
            "Give the region a new initial token (initialTokenFrom): this one may have ended or be used up."
            if self.server.initial_token
            else "Give the region an initial token (initialTokenFrom)."
        )
        return RefusedError(f"{error} {advice}", status=error.status)

    def _perhaps_left(self, error: ProviderError) -> ProviderError:
        return ProviderError(
            f"{error} It may have registered the client nevertheless: look there for {self.wanted.full_name!r}, "
            "delete it, then retry."
        )

    def _locked_out(self, held: Held) -> NoReturn:
        raise ProviderError(
            f"{self.what}: {self.server.name} no longer takes the registration access token of the client "
            f"{held.client_id!r}, which is still there. Delete it there by hand, then run refresh, then retry."
        )


def clients_of(region: str, wanted: Wanted) -> Clients:
    """The tenant's clients at the region's authorization server. Raises ProviderError."""
    what = f"OAuth client {wanted.name!r} of {wanted.mark}"
    server = server_of(region, what)
    keycloak = keycloak_of(server, what)
    return Clients(server=server, keycloak=keycloak, finder=finder_of(server, keycloak), wanted=wanted, what=what)
