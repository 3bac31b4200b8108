"""The gRPC stubs that ship in the Pulumi SDK, without importing the SDK, and the options of every channel.

`import pulumi` costs a process a quarter of a second at each start, the stubs a tenth of that. They refer to one
another relatively, so they load as well under a package name of their own, whose path is the SDK's folder. A module of
stubs is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pulumi.runtime.proto import (
        analyzer_pb2,
        analyzer_pb2_grpc,
        callback_pb2,
        callback_pb2_grpc,
        engine_pb2,
        engine_pb2_grpc,
        events_pb2,
        events_pb2_grpc,
        language_pb2,
        language_pb2_grpc,
        plugin_pb2,
        provider_pb2,
        provider_pb2_grpc,
        resource_pb2,
        resource_pb2_grpc,
    )

_SDK: Final = "pulumi.runtime.proto"
_OWN: Final = "_engine_protos"
_MEGABYTE: Final = 1024 * 1024

CHANNEL_OPTIONS: Final = [
    ("grpc.max_receive_message_length", 400 * _MEGABYTE),
    ("grpc.max_send_message_length", 400 * _MEGABYTE),
    # An error's text and details, such as what a half made object looks like, come as metadata. As in Go's gRPC.
    ("grpc.max_metadata_size", 16 * _MEGABYTE),
    ("grpc.absolute_max_metadata_size", 16 * _MEGABYTE),
    # Loopback only: a proxy from the environment must not come between.
    ("grpc.enable_http_proxy", 0),
]

__all__ = [
    "CHANNEL_OPTIONS",
    "analyzer_pb2",
    "analyzer_pb2_grpc",
    "callback_pb2",
    "callback_pb2_grpc",
    "engine_pb2",
    "engine_pb2_grpc",
    "events_pb2",
    "events_pb2_grpc",
    "language_pb2",
    "language_pb2_grpc",
    "plugin_pb2",
    "provider_pb2",
    "provider_pb2_grpc",
    "resource_pb2",
    "resource_pb2_grpc",
]


def __getattr__(name: str) -> Any:
    if not name.endswith(("_pb2", "_pb2_grpc")):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{_package()}.{name}")


def _package() -> str:
    """The package that the stubs are loaded from: the SDK's own where the SDK is loaded anyway."""
    if _OWN in sys.modules:
        return _OWN
    if _SDK in sys.modules:
        return _SDK
    found = find_spec("pulumi")
    if found is None or not found.submodule_search_locations:
        raise ImportError("the Pulumi SDK is not installed: run `make setup` (package pulumi)")
    spec = ModuleSpec(_OWN, None, is_package=True)
    spec.submodule_search_locations = [str(Path(found.submodule_search_locations[0]) / "runtime" / "proto")]
    sys.modules[_OWN] = module_from_spec(spec)
    return _OWN
