"""`tenantry serve`: the service's processes, the socket that they share, TLS, and how they end.

Decides what the server is told. What it serves is named by a string only, since nothing here may know the service.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import structlog
import uvicorn
from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from uvicorn.supervisors import Multiprocess

from automation.errors import EngineError, InputError
from automation.logs import configure_logging, logging_config
from automation.patience import PatientProtocol
from automation.settings import wrong_settings

APPLICATION = "service.app:create_app"
_BACKLOG = 2048
_SOCKET_MESSAGE_BYTES = 65_536  # what a reader of events may send: nothing of any size

log = structlog.get_logger("tenantry.serve")


class ServeSettings(BaseSettings):
    """Where and how the service listens. Times are in seconds."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True)

    host: Annotated[str, Field(min_length=1)] = Field("127.0.0.1", validation_alias="TENANTRY_HOST")
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(8000, validation_alias="TENANTRY_PORT")
    processes: Annotated[int, Field(ge=1, le=64)] = Field(1, validation_alias="TENANTRY_PROCESSES")
    tls_cert: Path | None = Field(None, validation_alias="TENANTRY_TLS_CERT")
    tls_key: Path | None = Field(None, validation_alias="TENANTRY_TLS_KEY")
    tls_key_password: str | None = Field(None, validation_alias="TENANTRY_TLS_KEY_PASSWORD", repr=False)
    shutdown_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(20, validation_alias="TENANTRY_SHUTDOWN_SECONDS")

    @model_validator(mode="after")
    def _together(self) -> ServeSettings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("TENANTRY_TLS_CERT and TENANTRY_TLS_KEY belong together: set both, or neither")
        return self


def load_serve_settings(**given: Any) -> ServeSettings:
    """Settings from the environment; what is `given` and not None counts more. Raises InputError naming the wrong."""
    try:
        return ServeSettings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise wrong_settings(error, what="setting", values_shown=False) from None


def serve(settings: ServeSettings) -> None:
    """Serves until SIGTERM or SIGINT, then answers what has been asked, ends live channels, and returns.

    Raises InputError for an address that cannot be had, for TLS files that cannot be used, and for settings of the
    service that are wrong; EngineError where the service could not start.
    """
    configure_logging("service")
    if settings.tls_cert is not None:
        _tls_context(settings)
    config = _config(settings)
    with _listen(settings) as listener:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        scheme = "https" if settings.tls_cert else "http"
        if scheme == "http" and not _is_loopback(host):
            log.warning("tokens travel unencrypted unless a proxy in front has TLS", address=f"{host}:{port}")
        if settings.processes > 1:
            _serve_several(settings, config, listener, f"{scheme}://{shown}:{port}")
            return
        server = uvicorn.Server(config)
        _on_signals(lambda: server.should_exit)
        log.info("listening", url=f"{scheme}://{shown}:{port}", processes=1)
        server.run(sockets=[listener])
        _require(server.started)


def _serve_several(settings: ServeSettings, config: uvicorn.Config, listener: socket.socket, url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="tenantry-metrics-") as shared:
        # Whichever process answers /metrics tells the requests of all of them. Read when the library is imported.
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", shared)
        # What is wrong with the settings is said here once, not by each process again and again.
        _config(settings).load()
        _on_signals(lambda: True)
        log.info("listening", url=url, processes=settings.processes)
        supervisor = Multiprocess(config, sockets=[listener])
        supervisor.run()
    failed = [process.exitcode for process in supervisor.processes if process.exitcode not in {0, None}]
    _require(not any(code == uvicorn.config.STARTUP_FAILURE for code in failed))


def _config(settings: ServeSettings) -> uvicorn.Config:
    tls: dict[str, Any] = {}
    if settings.tls_cert is not None:
        tls = {
            "ssl_certfile": settings.tls_cert,
            "ssl_keyfile": settings.tls_key,
            "ssl_keyfile_password": settings.tls_key_password,
            "ssl_context_factory": _at_least_tls_1_2,
        }
    return uvicorn.Config(
        APPLICATION,
        factory=True,
        workers=settings.processes,
        # The one of uvicorn's two that limits how long a request's headers may be; ours limits for how long, too.
        http=PatientProtocol,
        ws="websockets-sansio",
        lifespan="on",
        log_config=logging_config("service"),
        access_log=False,
        server_header=False,
        # The app itself looks at a proxy's headers, by TENANTRY_TRUSTED_PROXIES, under whatever server it runs.
        proxy_headers=False,
        backlog=_BACKLOG,
        ws_max_size=_SOCKET_MESSAGE_BYTES,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        **tls,
    )


def _at_least_tls_1_2(_config: uvicorn.Config, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    context = default()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _tls_context(settings: ServeSettings) -> None:
    """Raises InputError where the files are not a certificate and its key."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A password that is missing must not become a question at a terminal.
        context.load_cert_chain(str(settings.tls_cert), settings.tls_key, lambda: settings.tls_key_password or "")
    except (OSError, ssl.SSLError, ValueError) as error:
        reason = error.strerror if isinstance(error, FileNotFoundError) else (getattr(error, "reason", "") or error)
        raise InputError(
            f"no TLS with {settings.tls_cert} and {settings.tls_key}: {reason}",
            hint="check TENANTRY_TLS_CERT (PEM, the whole chain), TENANTRY_TLS_KEY and TENANTRY_TLS_KEY_PASSWORD",
        ) from None


def _listen(settings: ServeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InputError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}",
            hint="choose another with --host and --port, or end the program that has it; --port 0 takes any free one",
        ) from None
    listener.set_inheritable(True)
    return listener


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback


def _on_signals(ending: Callable[[], bool]) -> None:
    """A server that ends because it was told to has done its work: the signal, raised again, is not an error."""

    def told(number: int, _frame: FrameType | None) -> None:
        if not ending():
            raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)


def _require(started: bool) -> None:
    if not started:
        raise EngineError("the service did not start", hint="its log, above, says why")
