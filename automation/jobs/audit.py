"""The audit trail: who changed what, from where, what was there before and what after.

Decides how a row of it is written, and hides what looks like a secret. Rows are never changed or deleted from here.
"""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from automation.jobs.model import Caller
from automation.jobs.rows import storable
from automation.models_jobs import audit
from automation.redaction import redactor
from providers.masking import MASK

_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_SECRET_WORDS = frozenset({"password", "passwd", "passphrase", "secret", "secrets", "token", "tokens", "credential"})
_SECRET_PAIRS = (("api", "key"), ("private", "key"), ("access", "key"), ("client", "key"), ("signing", "key"))
_REDACT = redactor(())


async def record(
    connection: AsyncConnection,
    *,
    caller: Caller,
    action: str,
    tenant: str | None = None,
    object: str | None = None,  # noqa: A002 - the column's name
    job_id: uuid.UUID | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Writes one row in the caller's transaction, so that there is no change without its row and no row without it.

    `action` is the kind of object and what was done to it, such as `tenant.up` or `webhook.create`.
    """
    await connection.execute(
        insert(audit).values(
            actor=storable(caller.subject),
            address=caller.address,
            action=action,
            tenant=tenant,
            object=object,
            job_id=job_id,
            correlation_id=storable(caller.correlation_id),
            before=masked(before),
            after=masked(after),
        )
    )


def masked(value: Any) -> Any:
    """`value` with everything under a key that names a secret, and any password in an URL, replaced; storable."""
    if isinstance(value, Mapping):
        return {storable(str(key)): _hidden(one) if is_secret(str(key)) else masked(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [masked(one) for one in value]
    return _REDACT(storable(value)) if isinstance(value, str) else value


def is_secret(key: str) -> bool:
    """Whether a key such as `adminPassword` or `api_key` names a secret."""
    words = [word.lower() for word in _WORDS.findall(key)]
    pairs = tuple(itertools.pairwise(words))
    return not _SECRET_WORDS.isdisjoint(words) or any(pair in pairs for pair in _SECRET_PAIRS)


def _hidden(value: Any) -> Any:
    # That there was none is no secret, and whether one was set or removed is worth knowing.
    return value if value is None or value == "" or isinstance(value, bool) else MASK
