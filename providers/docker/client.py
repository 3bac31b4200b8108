"""Calls to one Docker engine: bounded in time, tried again when that can help, and errors in words.

Decides how long to wait and what to try again; knows no resource type. The SDK is imported on first use, so that the
process can say its port before. Its sessions are not made for many threads: each thread has its own.
"""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from providers.docker.config import Config, RegistryAuth
from providers.docker.errors import MissingError, from_docker
from providers.plugin.errors import CancelledError, ProviderError, UnreachableError

if TYPE_CHECKING:
    from providers.docker.sdk import Api

T = TypeVar("T")

RETRY_DELAYS = (1.0, 2.0, 4.0)
CALL_SECONDS = 20.0
_LONGEST_POLL = 0.5


@dataclass(slots=True, kw_only=True)
class Client:
    """Safe to use from many threads."""

    config: Config
    _cancelled: threading.Event = field(init=False, default_factory=threading.Event)
    _mutex: threading.Lock = field(init=False, default_factory=threading.Lock)
    _local: threading.local = field(init=False, default_factory=threading.local)
    _version: str = field(init=False, default="auto")
    _materials: dict[str, str] = field(init=False, default_factory=dict)

    def call(
        self,
        doing: str,
        action: Callable[["Api"], T],
        *,
        seconds: float = CALL_SECONDS,
        hide: Iterable[str] = (),
    ) -> T:
        """The answer. `seconds` is how long the engine may be silent, `hide` what never appears in an error.

        Raises MissingError, EngineError, UnreachableError, AccessError.
        """
        try:
            api = self._api()
            api.timeout = seconds
            return action(api)
        except ProviderError:
            raise
        except Exception as error:  # noqa: BLE001 - the SDK raises its own, requests', urllib3's and json's
            raise from_docker(error, doing, self.config.host, hide) from None

    def find(self, doing: str, action: Callable[["Api"], T]) -> T | None:
        """The answer, or None where there is no such object."""
        try:
            return self.call(doing, action)
        except MissingError:
            return None

    def making(self, make: Callable[[], str], look: Callable[[], str | None]) -> str:
        """The id that `make` gives. Where its answer did not come, what it may have made all the same is looked for."""
        try:
            return make()
        except UnreachableError:
            # If it cannot be looked for either, that the first answer did not come is what there is to say.
            with contextlib.suppress(ProviderError):
                if found := look():
                    return found
            raise

    def retrying(self, action: Callable[[], T]) -> T:
        for delay in RETRY_DELAYS[:-1]:
            try:
                return action()
            except ProviderError as error:
                if not error.retry:
                    raise
            self.pause(delay)
        return action()

    def wait_until(self, seconds: float, look: Callable[[], bool]) -> bool:
        """Whether it came true in that time. Looks at least once."""
        deadline, pause = time.monotonic() + seconds, 0.05
        while not look():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.pause(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_POLL)
        return True

    def pause(self, seconds: float) -> None:
        self._cancelled.wait(seconds)
        self.require_going()

    def require_going(self) -> None:
        """Raises CancelledError once the engine has asked to stop."""
        if self._cancelled.is_set():
            raise CancelledError("cancelled: the engine asked the docker provider to stop")

    def cancel(self) -> None:
        """Ends what waits. A single call is let be: what is half made is still to be looked at, and told of."""
        self._cancelled.set()

    def close(self) -> None:
        """End the calling thread's connection. The next call makes another."""
        api, self._local.api = getattr(self._local, "api", None), None
        if api is not None:
            api.close()

    def auth_for(self, registry: str) -> RegistryAuth | None:
        return next((each for each in self.config.registries if each.address == registry), None)

    def _api(self) -> "Api":
        from providers.docker import sdk

        api: sdk.Api | None = getattr(self._local, "api", None)
        if api is None:
            # Not one after the other: each would wait for an engine that hangs.
            made = sdk.Api(base_url=self.config.host, version=self._version, timeout=CALL_SECONDS, tls=self._tls())
            self._version = made.api_version
            self._local.api = api = made
        return api

    def _tls(self) -> Any:
        if not self.config.tls:
            return None
        from providers.docker.sdk import TLSConfig

        with self._mutex:
            for name in ("ca", "cert", "key"):
                text = getattr(self.config, name)
                if text and name not in self._materials:
                    self._materials[name] = _as_file(text)
        pair = (self._materials["cert"], self._materials["key"]) if "cert" in self._materials else None
        return TLSConfig(client_cert=pair, ca_cert=self._materials.get("ca"), verify="ca" in self._materials)


def _as_file(text: str) -> str:
    """A path under which the SDK reads it, in memory where the system can: it may be a private key."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("tenantry-docker")
        os.write(descriptor, text.encode())
        return f"/proc/self/fd/{descriptor}"
    handle, path = tempfile.mkstemp(prefix="tenantry-docker-")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return path
