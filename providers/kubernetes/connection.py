"""One API server's HTTP connections, and how it is let in there: a kubeconfig's context, as the SDK reads it.

Decides no retries; says in words why there is no connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar, cast

from providers.kubernetes.errors import Doing
from providers.kubernetes.kubeconfig import Chosen
from providers.plugin.errors import AccessError, ProviderError, RefusedError, UnreachableError

if TYPE_CHECKING:
    from providers.kubernetes.sdk import BaseHTTPResponse, Configuration, RESTClientObject

T = TypeVar("T")

_CONNECTIONS = 24
_CONNECT_SECONDS = 10.0
_COMMAND_SECONDS = 30.0
"""How long a kubeconfig's command for credentials may take, which the SDK would wait for without end."""


class Connection:
    """Connects at its first request. Safe to use from many threads."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._mutex = threading.Lock()
        self._made: Future[tuple[Configuration, RESTClientObject]] | None = None

    @property
    def host(self) -> str:
        return self._chosen.server

    def send(
        self,
        method: str,
        path: str,
        doing: Doing,
        *,
        query: Mapping[str, str],
        body: bytes | None,
        content_type: str,
        seconds: float,
        stream: bool = False,
    ) -> BaseHTTPResponse:
        """The answer, whatever its status. Raises UnreachableError, AccessError and RefusedError."""
        from urllib.parse import urlencode

        from providers.kubernetes.sdk import Timeout

        configuration, rest = self._connected()
        headers = {"Accept": "application/json", "User-Agent": "tenantry"}
        if body is not None:
            headers["Content-Type"] = content_type
        url = configuration.host.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        try:
            headers.update(self._credentials(configuration))
            answer = rest.pool_manager.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=Timeout(connect=min(_CONNECT_SECONDS, seconds), read=seconds),
                preload_content=not stream,
                retries=False,
                redirect=False,
            )
        except Exception as error:  # noqa: BLE001 - urllib3's, the SDK's, and those of commands for credentials
            raise self.explained(error, doing) from None
        return answer

    def explained(self, error: Exception, doing: Doing) -> ProviderError:
        """Why there is no answer, in words."""
        from providers.kubernetes.sdk import ConfigException, http_errors

        text, host = str(error), self.host
        if isinstance(error, ProviderError):
            return error
        broken = "EOF" in text
        if not broken and (isinstance(error, http_errors.SSLError) or "SSL" in text or "CERTIFICATE" in text):
            reason = text.partition("] ")[2].partition(" (_ssl")[0] or "no TLS"
            advice = "Check the kubeconfig's certificate-authority, tls-server-name and client certificate"
            return AccessError(doing.line(f"no TLS with the API server at {host}: {reason}", advice))
        if isinstance(error, ConfigException):
            return AccessError(
                doing.line(f"the kubeconfig's user cannot be used: {text}", "Correct it, or sign in again")
            )
        if isinstance(error, http_errors.ReadTimeoutError):
            return UnreachableError(doing.line(f"the API server at {host} did not answer in time"))
        if isinstance(error, (http_errors.LocationValueError, ValueError)):
            return RefusedError(doing.line(f"the address {host} of the API server is none", "Correct the kubeconfig"))
        if isinstance(error, (http_errors.HTTPError, OSError)):
            return UnreachableError(doing.line(f"no API server answers at {host} ({_short(error)})"))
        return AccessError(doing.line(f"no credentials for the API server at {host} ({type(error).__name__})"))

    def _connected(self) -> tuple[Configuration, RESTClientObject]:
        with self._mutex:
            if self._made is None or (self._made.done() and self._made.exception() is not None):
                self._made = _begun(self._make)
            made = self._made
        # All wait for the same attempt: one after the other they would wait many times as long.
        return _result(made)

    def _credentials(self, configuration: Configuration) -> dict[str, str]:
        """The headers that say who is asking; renewed where they have expired."""
        if not self._chosen.has_command:
            return _headers(configuration)
        return _result(_begun(lambda: _headers(configuration)))

    def _make(self) -> tuple[Configuration, RESTClientObject]:
        from providers.kubernetes import sdk

        # Not the constructor as its metaclass has it: that one copies what another has set as the default.
        configuration = type.__call__(sdk.Configuration)
        configuration.connection_pool_maxsize = _CONNECTIONS
        try:
            if self._chosen.document is None:
                sdk.load_incluster_config(client_configuration=configuration)
            else:
                sdk.load_kube_config_from_dict(
                    self._chosen.document, client_configuration=configuration, persist_config=False
                )
            return configuration, sdk.RESTClientObject(configuration)
        except Exception as error:  # noqa: BLE001 - files, certificates, commands: whatever a kubeconfig may name
            reason = getattr(error, "strerror", None) or (str(error) if isinstance(error, sdk.ConfigException) else "")
            raise AccessError(
                f"the kubeconfig's user or cluster cannot be used: {reason or type(error).__name__}. "
                f"Check the files, certificates and commands that it names"
            ) from None


def _begun(action: Callable[[], T]) -> Future[T]:
    """The action in a thread of its own, which keeps no process from ending."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(action())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is wanted
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="credentials").start()
    return future


def _result(future: Future[T]) -> T:
    try:
        return future.result(_COMMAND_SECONDS)
    except TimeoutError:
        if future.done():
            raise
        raise AccessError(
            f"the kubeconfig's command for credentials did not end within {_COMMAND_SECONDS:g} s. Run it by hand to "
            f"see what it waits for"
        ) from None


def _headers(configuration: Configuration) -> dict[str, str]:
    settings = cast("dict[str, dict[str, str]]", configuration.auth_settings())
    return {each["key"]: each["value"] for each in settings.values() if each.get("in") == "header"}


def _short(error: Exception) -> str:
    """`Connection refused`, out of what urllib3 says."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__.removesuffix("Error")
