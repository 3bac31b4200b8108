"""The gRPC stubs that ship in the Pulumi SDK, without importing the SDK.

`import pulumi` costs a plugin a third of a second at each start, the stubs a tenth of that. They refer to one another
relatively, so they load as well under a package name of their own, whose path is the SDK's folder.
"""

import importlib
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc
else:
    _PACKAGE = "_pulumi_proto"

    def _package() -> str:
        if "pulumi" in sys.modules:
            return "pulumi.runtime.proto"
        found = find_spec("pulumi")
        if found is None or not found.submodule_search_locations:
            msg = "the Pulumi SDK is not installed: run `make setup` (package pulumi)"
            raise ImportError(msg)
        spec = ModuleSpec(_PACKAGE, None, is_package=True)
        spec.submodule_search_locations = [str(Path(found.submodule_search_locations[0]) / "runtime" / "proto")]
        sys.modules[_PACKAGE] = module_from_spec(spec)
        return _PACKAGE

    _name = _package()
    engine_pb2 = importlib.import_module(f"{_name}.engine_pb2")
    engine_pb2_grpc = importlib.import_module(f"{_name}.engine_pb2_grpc")
    plugin_pb2 = importlib.import_module(f"{_name}.plugin_pb2")
    provider_pb2 = importlib.import_module(f"{_name}.provider_pb2")
    provider_pb2_grpc = importlib.import_module(f"{_name}.provider_pb2_grpc")

__all__ = ["engine_pb2", "engine_pb2_grpc", "plugin_pb2", "provider_pb2", "provider_pb2_grpc"]
