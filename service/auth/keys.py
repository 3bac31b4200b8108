"""Which keys a token may be signed with: HS256 keys of ours, or the public keys of an identity provider (JWKS).

Both change without a restart: the file is read again when it has changed, the URL after a while, and at once for a key
id that nobody has seen. A forged key id cannot make us ask the provider more often than every few seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import jwt
import structlog

from automation.errors import TenantryError
from automation.tokens import ALGORITHM, TokenSettings, read_keys
from service.auth.errors import KeysUnavailableError

ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
UNKNOWN_KEY_PAUSE = 5.0
STALE_SECONDS = 3600.0
"""How long the provider's keys are believed while it cannot be reached."""
_FETCH_SECONDS = 5.0
_MOST_BYTES = 512_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A key that may have signed the token, and the algorithms that it is for."""

    key: Any
    algorithms: Sequence[str]


class Keys(Protocol):
    """Where keys come from."""

    async def candidates(self, header: Mapping[str, Any]) -> tuple[Candidate, ...]:
        """The keys for a token with this (unchecked) header; none: nobody's. Raises KeysUnavailableError."""

    async def close(self) -> None:
        """Lets go of connections."""


class SharedKeys:
    """HS256 keys: the one of TENANTRY_JWT_SECRET, or those of a file, which is read again when it has changed."""

    def __init__(self, settings: TokenSettings) -> None:
        self._path: Path | None = settings.secret_file
        self._stamp = self._stat()
        self._keys = settings.keys()

    def _stat(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    async def candidates(self, header: Mapping[str, Any]) -> tuple[Candidate, ...]:
        """Every key: tokens of ours carry no key id."""
        if header.get("alg") != ALGORITHM:
            return ()
        stamp = self._stat()
        if self._path is not None and stamp != self._stamp:
            try:
                self._keys, self._stamp = read_keys(self._path), stamp
            except TenantryError as error:
                raise KeysUnavailableError(error.message, hint=error.hint) from None
            log.info("token keys read again", keys=len(self._keys))
        return tuple(Candidate(key=key, algorithms=(ALGORITHM,)) for key in self._keys)

    async def close(self) -> None:
        """Nothing is held."""


class ProviderKeys:
    """Public keys from a JWKS URL, by key id."""

    def __init__(self, url: str, seconds: float, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._seconds = seconds
        # Redirects are not followed: keys come from where the configuration says, or not at all.
        self._client = httpx.AsyncClient(timeout=_FETCH_SECONDS, follow_redirects=False, transport=transport)
        self._lock = asyncio.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")

    async def candidates(self, header: Mapping[str, Any]) -> tuple[Candidate, ...]:
        """The key with the token's id; without an id, the only key there is."""
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ASYMMETRIC or not isinstance(kid, str | None):
            return ()
        await self._refresh(lambda: time.monotonic() - self._fetched < self._seconds)
        if self._find(kid) is None:
            await self._refresh(lambda: self._find(kid) is not None, pause=UNKNOWN_KEY_PAUSE)
        found = self._find(kid)
        if found is None or algorithm != found.algorithm_name:
            return ()
        return (Candidate(key=found.key, algorithms=(algorithm,)),)

    def _find(self, kid: str | None) -> jwt.PyJWK | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def _refresh(self, enough: Any, *, pause: float = 1.0) -> None:
        if enough():
            return
        async with self._lock:
            now = time.monotonic()
            if enough() or now - self._tried < pause:
                self._still_good(now)
                return
            self._tried = now
            try:
                self._keys = await self._fetch()
                self._fetched = time.monotonic()
            except (httpx.HTTPError, jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
                log.warning("the identity provider's keys cannot be read", url=self._url, error=str(error)[:200])
                self._still_good(now)

    def _still_good(self, now: float) -> None:
        if now - self._fetched > max(STALE_SECONDS, self._seconds):
            raise KeysUnavailableError(
                f"tokens cannot be checked: the keys at {self._url} cannot be read",
                hint="check that the identity provider is reachable from here, and TENANTRY_JWT_JWKS_URL",
            )

    async def _fetch(self) -> dict[str | None, jwt.PyJWK]:
        answer = await self._client.get(self._url, headers={"Accept": "application/json"})
        answer.raise_for_status()
        if answer.status_code != httpx.codes.OK or len(answer.content) > _MOST_BYTES:
            raise ValueError(f"answered {answer.status_code} with {len(answer.content)} bytes")
        document = answer.json()
        keys: dict[str | None, jwt.PyJWK] = {}
        for item in document["keys"]:
            # Keys for encryption, symmetric ones and those of unknown kinds are not for us.
            if item.get("use", "sig") != "sig" or item.get("kty") not in {"RSA", "EC", "OKP"}:
                continue
            try:
                key = jwt.PyJWK.from_dict(item)
            except jwt.PyJWTError as error:
                log.warning("a key of the identity provider is left out", kid=str(item.get("kid")), error=str(error))
                continue
            if key.algorithm_name in ASYMMETRIC:
                keys[key.key_id] = key
        if not keys:
            raise ValueError("it has no key for signatures")
        return keys

    async def close(self) -> None:
        """Closes the client."""
        await self._client.aclose()


def keys_for(settings: TokenSettings) -> Keys:
    """The keys that the settings name."""
    if settings.jwks_url is not None:
        return ProviderKeys(settings.jwks_url, settings.jwks_seconds)
    return SharedKeys(settings)
