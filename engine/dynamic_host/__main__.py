"""Starts the host: `python -u engine/dynamic_host`. It says its port on stdout, and ends when its stdin does."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from pathlib import Path

# A program may have a package `engine` of its own, and must find that one.
NAME = "_tenantry_engine"


def _end_with_the_engine() -> None:
    """A host must not outlive an engine that was killed: it ends when its standard input does, held by the engine."""
    # Not through sys.stdin, whose lock a thread that waits would hold at the end of the process.
    while os.read(0, 4096):
        pass
    os._exit(0)


def _load_package() -> None:
    folder = Path(__file__).resolve().parent.parent
    spec = importlib.util.spec_from_file_location(
        NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"the engine at {folder} is not complete: install the engine again")
    sys.modules[NAME] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def main() -> None:
    threading.Thread(target=_end_with_the_engine, daemon=True).start()
    if not getattr(sys.flags, "safe_path", False):
        # As `python -m` does: providers pickled by reference are imported from the program's folder.
        sys.path[0] = str(Path.cwd())
    if os.environ.get("TRACEPARENT"):
        # The SDK's tracing wants to be there before gRPC is.
        importlib.import_module("pulumi")
    _load_package()
    importlib.import_module(f"{NAME}.dynamic_host.server").serve()


if __name__ == "__main__":
    main()
