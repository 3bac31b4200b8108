"""People who sign in with an e-mail address and a password, where tokens are signed by ourselves.

Decides who gets an account and who gets a token for one. An account has no rights: those are its memberships, under its
e-mail address. Where an identity provider signs the tokens there are no accounts, and no password is kept: its people
are members by the address that it has verified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from automation.errors import InputError, NotFoundError
from automation.jobs import audit
from automation.jobs.database import looking_up, transaction
from automation.jobs.model import Caller
from automation.jobs.rows import storable
from automation.models_jobs import accounts, tenant_members
from automation.models_jobs import audit as trail
from automation.settings import Settings
from automation.tokens import TokenSettings, mint
from providers.masking import MASK
from service.auth import passwords
from service.auth.errors import AuthenticationError
from service.auth.limits import Limits, counted_as

SESSION_SECONDS = 12 * 3600.0
_TRIES = 10
"""A minute, for one account from one address, whether they fit or not. So are those below."""
_TRIES_OF_ADDRESS = 60
"""Many people share an address."""
_TRIES_OF_ACCOUNT = 100
"""From anywhere: fewer, and who guesses from elsewhere keeps its owner out."""
_HASHED_AT_ONCE = 2
"""Each takes 19 MiB and a core's time, which whoever guesses must not take from all else."""
_SIGN_IN, _CHANGE = "sign-in", "password"
_LONGEST_CALLER = 400


class Entry(StrEnum):
    """What came of the wish for an account. TAKEN: somebody without one goes by that address, and gets none."""

    MADE = "made"
    KNOWN = "known"
    TAKEN = "taken"


class Accounts:
    """The accounts in one main database."""

    def __init__(self, engine: AsyncEngine, settings: Settings, tokens: TokenSettings, limits: Limits) -> None:
        self._engine = engine
        self._settings = settings
        self._tokens = tokens
        self._limits = limits
        self._hashing = asyncio.Semaphore(_HASHED_AT_ONCE)

    @property
    def there(self) -> bool:
        """Whether anybody signs in with a password here."""
        return self._tokens.jwks_url is None

    async def add(
        self, caller: Caller, *, tenant: str, email: str, name: str, password: str, again: datetime | None = None
    ) -> Entry:
        """Makes an account for the owner of a new `tenant`, unless the address is somebody's already.

        One that is there stays as it is, with the password it has. `again` is when the request came first, if it comes
        again: an account that the caller has made since is the one it was for.
        """
        # Whoever may create workspaces must not get at what is somebody's by that: the password is the caller's choice.
        values = {
            "email": email,
            "name": storable(name),
            "password_hash": await self._hashed(password),
            "created_by": storable(caller.subject),
        }
        statement = upsert(accounts).values(**values).on_conflict_do_nothing().returning(accounts.c.email)
        async with transaction(self._engine, self._settings) as connection:
            kept = select(accounts.c.created_by, accounts.c.created_at).where(accounts.c.email == email)
            if (there := (await connection.execute(kept)).one_or_none()) is not None:
                own = again is not None and there.created_by == values["created_by"] and there.created_at >= again
                return Entry.MADE if own else Entry.KNOWN
            if (await connection.execute(select(_somebodys(email, tenant)))).scalar_one():
                return Entry.TAKEN
            made = (await connection.execute(statement)).one_or_none() is not None
            if made:
                await audit.record(connection, caller=caller, action="account.create", object=f"account {email}")
        return Entry.MADE if made else Entry.KNOWN

    async def sign_in(self, email: str, password: str, address: str | None) -> str:
        """A token for the account. Raises AuthenticationError, which does not say whether there is such an account,
        and RateLimitedError."""
        email = normal(email)
        refused = AuthenticationError("the e-mail address or the password is wrong", hint="check both, and try again")
        if not self.there:
            raise refused
        # The address first: one that asks too often must not lock people's accounts by that.
        place = counted_as(address)
        counts = {
            f"from {place}": _TRIES_OF_ADDRESS,
            f"from {place} account {email}": _TRIES,
            f"account {email}": _TRIES_OF_ACCOUNT,
        }
        known = await self._tried(email, password, _SIGN_IN, counts)
        if known is None:
            raise refused
        return mint(self._tokens, subject=email, seconds=SESSION_SECONDS, account=passwords.mark(known))

    async def change(self, caller: Caller, *, current: str, password: str) -> None:
        """Gives the caller's account another password, which ends all its sessions.

        Raises InputError for a `current` that is not the account's or a `password` that will not do, NotFoundError for
        a caller who signs in otherwise, and RateLimitedError: here, too, passwords can be guessed.
        """
        email = normal(caller.subject)
        await self._demand_there(email)
        # Apart from sign-ins: who guesses there must not keep the owner, who is signed in, from changing it.
        known = await self._tried(email, current, _CHANGE, {f"account {email}": _TRIES})
        if known is None:
            raise _refused("current", "the password that you sign in with now")
        if current == password:
            raise _refused("password", "another one than now")
        await self._set(caller, email, password, action="account.password", instead_of=known)

    async def reset(self, caller: Caller, email: str, password: str) -> None:
        """Gives an account another password, for somebody who has forgotten theirs. Ends all its sessions.

        Raises InputError, NotFoundError. Whether the caller may is decided elsewhere.
        """
        email = normal(email)
        await self._demand_there(email)
        await self._set(caller, email, password, action="account.reset")

    async def remove(self, caller: Caller, email: str) -> None:
        """Deletes an account, which ends all its sessions. Its memberships stay, for whoever has a token of that name.

        Raises NotFoundError. Whether the caller may is decided elsewhere.
        """
        email = normal(email)
        async with transaction(self._engine, self._settings) as connection:
            gone = delete(accounts).where(accounts.c.email == storable(email)).returning(accounts.c.email)
            if (await connection.execute(gone)).one_or_none() is None:
                raise _nobody(email)
            await audit.record(connection, caller=caller, action="account.delete", object=f"account {email}")

    async def _tried(self, email: str, password: str, kind: str, counts: Mapping[str, int]) -> str | None:
        """The account's hash where the password is its own, else None. Raises RateLimitedError.

        Counts the try as one of `kind` for each caller in `counts`, of which so many are allowed in a minute.
        """
        async with looking_up(self._engine, self._settings) as connection:
            for caller, limit in counts.items():
                await self._limits.counted(connection, caller[:_LONGEST_CALLER], kind, limit)
            await self._limits.forget(connection, kind)
            known = await _hash_of(connection, email)
        if len(password) > passwords.LONGEST:
            return None
        async with self._hashing:
            fits = await asyncio.to_thread(passwords.fits, password, known)
        return known if fits else None

    async def _hashed(self, password: str) -> str:
        async with self._hashing:
            return await asyncio.to_thread(passwords.hashed, password)

    async def _demand_there(self, email: str) -> None:
        async with looking_up(self._engine, self._settings) as connection:
            if not self.there or await _hash_of(connection, email) is None:
                raise _nobody(email)

    async def _set(
        self, caller: Caller, email: str, password: str, *, action: str, instead_of: str | None = None
    ) -> None:
        async with transaction(self._engine, self._settings) as connection:
            one = accounts.c.email == storable(email)
            name = (await connection.execute(select(accounts.c.name).where(one))).scalar_one_or_none() or ""
            if (wrong := passwords.wanting(password, others=(email, name))) is not None:
                raise _refused("password", wrong)
            hashed = await self._hashed(password)
            if instead_of is not None:
                # Of two changes at once the second has not the password that is there by then.
                one &= accounts.c.password_hash == instead_of
            changed = update(accounts).values(password_hash=hashed).where(one).returning(accounts.c.email)
            if (await connection.execute(changed)).one_or_none() is None:
                raise _nobody(email) if instead_of is None else _refused("current", "what it is by now: it has changed")
            await audit.record(connection, caller=caller, action=action, object=f"account {email}")


async def demand_current(connection: AsyncConnection, email: str, mark: str) -> None:
    """Raises AuthenticationError for a session whose password is not the account's any more."""
    known = await _hash_of(connection, email)
    if known is None or passwords.mark(known) != mark:
        raise AuthenticationError("the session has ended: its password was changed", hint="sign in again")


async def _hash_of(connection: AsyncConnection, email: str) -> str | None:
    kept = select(accounts.c.password_hash).where(accounts.c.email == storable(email))
    found: str | None = (await connection.execute(kept)).scalar_one_or_none()
    return found


def _refused(field: str, valid: str) -> InputError:
    return InputError(
        "the password was not changed",
        hint="correct what is listed, then send it again",
        problems=[(field, MASK, valid)],
    )


def _nobody(email: str) -> NotFoundError:
    return NotFoundError(
        f"'{email}' has no account here", hint="who signs in with a token has no password; its provider has it"
    )


def _somebodys(email: str, tenant: str) -> ColumnElement[bool]:
    """Whether somebody goes by that address: has a role on another tenant, or has done anything here by a token."""
    members = tenant_members.c
    elsewhere = exists().where(members.subject == email, members.tenant != tenant)
    return or_(elsewhere, exists().where(trail.c.actor == email))


def normal(email: str) -> str:
    """An e-mail address as it is compared and kept: what may be told apart by case at its server, nobody tells so."""
    return str(storable(email.strip().lower()))
