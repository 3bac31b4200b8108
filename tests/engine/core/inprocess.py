"""gRPC without a wire: servers and channels of this process call each other directly, with the same messages.

A scenario costs ten times less than over sockets, which is what makes ten thousand random ones possible. The engine's
translation to and from messages is all there; what is not there are sockets, threads of the server, and time limits,
which the other tests have. Messages are handed over, not copied: neither side changes one that it was given.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Self

import grpc
import pytest

_REAL_CHANNEL = grpc.insecure_channel


class Aborted(grpc.RpcError):
    """What a caller gets when the other side aborts, or there is no other side."""

    def __init__(self, code: grpc.StatusCode, details: str, metadata: Any = ()) -> None:
        super().__init__(details)
        self._code, self._details, self._metadata = code, details, metadata

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return self._metadata


class _Context:
    """What a servicer may do with its call."""

    def __init__(self) -> None:
        self._metadata: Any = ()

    def set_trailing_metadata(self, metadata: Any) -> None:
        self._metadata = metadata

    def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise Aborted(code, details, self._metadata)

    def is_active(self) -> bool:
        return True

    def add_callback(self, _: Callable[[], None]) -> bool:
        return True

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details


class _Server:
    def __init__(self, network: Network) -> None:
        self._network = network
        self._port = 0
        self.methods: dict[str, Callable[[Any, Any], Any]] = {}

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        for handler in handlers:
            for path, method in handler._method_handlers.items():
                self.methods[path] = method.unary_unary

    def add_registered_method_handlers(self, _: str, __: Any) -> None:
        """The generic handlers hold the same methods."""

    def add_insecure_port(self, _: str) -> int:
        self._port = self._network.open(self)
        return self._port

    def start(self) -> None:
        """There is nothing to start."""

    def stop(self, grace: float | None) -> threading.Event:
        self._network.servers.pop(self._port, None)
        stopped = threading.Event()
        stopped.set()
        return stopped


class _Call:
    """One method of a channel."""

    def __init__(self, channel: _Channel, path: str) -> None:
        self._channel, self._path = channel, path

    def __call__(self, request: Any, timeout: float | None = None, **_: Any) -> Any:
        method = self._channel.method(self._path)
        try:
            return method(request, _Context())
        except grpc.RpcError:
            raise
        except Exception as error:
            raise Aborted(grpc.StatusCode.UNKNOWN, f"Exception calling application: {error}") from error

    def future(self, request: Any, timeout: float | None = None, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(self(request))
        except grpc.RpcError as error:
            future.set_exception(error)
        return future


class _Channel:
    def __init__(self, network: Network, port: int) -> None:
        self._network, self._port = network, port

    def method(self, path: str) -> Callable[[Any, Any], Any]:
        server = self._network.servers.get(self._port)
        if server is None:
            raise Aborted(grpc.StatusCode.UNAVAILABLE, "failed to connect: nobody listens")
        method = server.methods.get(path)
        if method is None:
            raise Aborted(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        return method

    def unary_unary(self, path: str, *_: Any, **__: Any) -> _Call:
        return _Call(self, path)

    def unary_stream(self, path: str, *_: Any, **__: Any) -> _Call:
        return _Call(self, path)

    def stream_unary(self, path: str, *_: Any, **__: Any) -> _Call:
        return _Call(self, path)

    def stream_stream(self, path: str, *_: Any, **__: Any) -> _Call:
        return _Call(self, path)

    def close(self) -> None:
        """There is nothing to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Network:
    """The servers of this process by port; the numbers are none that a socket can have."""

    def __init__(self) -> None:
        self.servers: dict[int, _Server] = {}
        self._ports = itertools.count(70_000)

    def open(self, server: _Server) -> int:
        port = next(self._ports)
        self.servers[port] = server
        return port

    def server(self, *_: Any, **__: Any) -> _Server:
        return _Server(self)

    def channel(self, address: str, *args: Any, **options: Any) -> Any:
        port = int(address.rpartition(":")[2])
        return _Channel(self, port) if port >= 70_000 else _REAL_CHANNEL(address, *args, **options)


@contextmanager
def in_process() -> Iterator[Network]:
    """While this lasts, every gRPC server that is made is one of this process only."""
    network = Network()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpc, "server", network.server)
        patch.setattr(grpc, "insecure_channel", network.channel)
        yield network
