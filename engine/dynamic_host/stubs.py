"""The gRPC stubs that ship in the Pulumi SDK, without importing the SDK.

The SDK takes twice as long to import as all that is needed to say a port and to listen. The stubs refer to one another
relatively, so they load as well under a package name of their own, whose path is the SDK's folder.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc
else:
    _PACKAGE = f"{__package__}.proto"

    def _package() -> str:
        if "pulumi" in sys.modules:
            return "pulumi.runtime.proto"
        found = find_spec("pulumi")
        if found is None or not found.submodule_search_locations:
            raise ImportError("the program's Python has no Pulumi SDK: install the package pulumi there")
        spec = ModuleSpec(_PACKAGE, None, is_package=True)
        spec.submodule_search_locations = [str(Path(found.submodule_search_locations[0]) / "runtime" / "proto")]
        sys.modules[_PACKAGE] = module_from_spec(spec)
        return _PACKAGE

    _name = _package()
    plugin_pb2 = importlib.import_module(f"{_name}.plugin_pb2")
    provider_pb2 = importlib.import_module(f"{_name}.provider_pb2")
    provider_pb2_grpc = importlib.import_module(f"{_name}.provider_pb2_grpc")

__all__ = ["plugin_pb2", "provider_pb2", "provider_pb2_grpc"]
