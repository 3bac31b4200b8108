"""Providers out of pickles, and property values as the SDK reads and writes them. Importing this imports the SDK.

A provider is loaded and configured once, and kept as long as it is among the last `KEPT` that were used: a program may
make one per resource, each with a pickle of its own.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any, cast

import dill
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.metadata import get_project
from pulumi.runtime import Settings, configure, rpc
from pulumi.runtime._serialization import _deserialize

PROVIDER_KEY = "__provider"
UNKNOWN = rpc.UNKNOWN
KEPT = 256


class _Entry:
    """A provider, or the place where it will be: who comes second waits at the lock."""

    __slots__ = ("lock", "provider")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.provider: Any = None


class Providers:
    """The providers of this process, by the hash of their pickle. Safe to use from several threads."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        # dill fills modules and classes while it loads: one pickle at a time.
        self._loading = threading.Lock()

    def get(self, props: Mapping[str, Any], config: dict[str, Any]) -> Any:
        """The provider that the properties name. Raises whatever its pickle or its `configure` raises."""
        # Settings belong to the context of one call, and a provider may ask for them.
        configure(
            Settings(project=os.environ.get("PULUMI_PROJECT", "project"), stack="stack", organization="organization")
        )
        pickled = base64.b64decode(props[PROVIDER_KEY])
        entry = self._entry(hashlib.sha256(pickled).digest())
        with entry.lock:
            if entry.provider is None:
                with self._loading:
                    provider = _deserialize(lambda: dill.loads(pickled))  # noqa: S301 - the program's own code
                provider.configure(ConfigureRequest(config=Config(raw_config=config, project_name=get_project())))
                entry.provider = provider
            return entry.provider

    def __len__(self) -> int:
        return len(self._entries)

    def _entry(self, key: bytes) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            while len(self._entries) > self._kept:
                self._entries.popitem(last=False)
            return entry


PROVIDERS = Providers()
"""The providers of this process."""


# As many as are needed at once: to make one costs as much as to serialise a resource.
_idle_loops: deque[asyncio.AbstractEventLoop] = deque()


def to_struct(values: dict[str, Any]) -> Any:
    """A protobuf Struct of property values, which may hold outputs and other things to wait for."""
    try:
        loop = _idle_loops.pop()
    except IndexError:
        loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(rpc.serialize_properties(values, {}))
    finally:
        _idle_loops.append(loop)


def from_struct(struct: Any, *, keep_unknowns: bool | None = None) -> dict[str, Any]:
    """Property values as a provider sees them."""
    return cast("dict[str, Any]", rpc.deserialize_properties(struct, keep_unknowns))


def plain_config(struct: Any) -> dict[str, Any]:
    """A configuration without secret markers, as `Config` wants it."""
    return {key: rpc.unwrap_rpc_secret(value) for key, value in from_struct(struct).items()}
