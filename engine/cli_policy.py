"""`--policy-pack DIR` and `--policy-pack-config FILE`: what they name, found and read before anything is done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from engine.errors import UsageError
from engine.policy import PackSource, PolicyConfig, parse_config
from engine.project import load_yaml
from engine.workspace import Context

_FILES: Final = ("PulumiPolicy.yaml", "PulumiPolicy.yml", "PulumiPolicy.json")
_OPTIONS: Final = frozenset({"virtualenv", "toolchain"})


def policy_packs(context: Context, python: str) -> tuple[PackSource, ...]:
    """The packs of a command line; `python` runs those that name none. Raises UsageError and StateError."""
    arguments = context.arguments
    paths, configs = arguments.many("policy-pack"), arguments.many("policy-pack-config")
    if configs and not paths:
        raise UsageError('"--policy-pack-config" must be specified with "--policy-pack"')
    if configs and len(configs) != len(paths):
        raise UsageError('the number of "--policy-pack-config" flags must match the number of "--policy-pack" flags')
    return tuple(_source(context, name, configs[index] if configs else "", python) for index, name in enumerate(paths))


def _source(context: Context, name: str, config: str, python: str) -> PackSource:
    path = (context.cwd / Path(name).expanduser()).resolve()
    file = next((path / known for known in _FILES if (path / known).is_file()), None)
    if file is None:
        raise UsageError(f"policy pack not found at {name!r}: there is no PulumiPolicy.yaml in {path}")
    body = load_yaml(file)
    runtime: Any = body.get("runtime")
    options: dict[str, Any] = {}
    if isinstance(runtime, dict):
        options, runtime = runtime.get("options") or {}, runtime.get("name")
    if runtime != "python":
        raise UsageError(f"the runtime {runtime!r} of {file} is not served: this engine runs Python policy packs")
    return PackSource(
        name=name,
        path=path,
        main=_main(body.get("main"), path, file),
        python=_python(options, path, file, context) or python,
        version=str(body.get("version") or ""),
        config=_config(context, config) if config else None,
    )


def _main(main: Any, path: Path, file: Path) -> str:
    program = path / str(main) if main else path
    if not (program.is_file() or (program / "__main__.py").is_file()):
        raise UsageError(f"the policy pack of {file} has no program: there is no __main__.py in {program}")
    return str(main) if main else "."


def _python(options: dict[str, Any], path: Path, file: Path, context: Context) -> str:
    """The Python that a pack names, or PULUMI_PYTHON_CMD; empty where nothing is said."""
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise UsageError(f"the runtime option '{unknown[0]}' of {file} is not served")
    toolchain = options.get("toolchain", "pip")
    if toolchain not in {"pip", "uv"}:
        raise UsageError(
            f"the toolchain '{toolchain}' of {file} is not served: make a virtual environment with it, and name that "
            "as the runtime option 'virtualenv'"
        )
    named = options.get("virtualenv") or (".venv" if toolchain == "uv" else "")
    if not named:
        return context.environment.get("PULUMI_PYTHON_CMD", "")
    folder = path / str(named)
    python = folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"
    if not python.exists():
        raise UsageError(
            f"the virtual environment '{named}' that {file} names is not there. Make it with `python3 -m venv {named}` "
            f"in {path}, install the pack's requirements (pulumi-policy among them) into it, then retry"
        )
    return str(python)


def _config(context: Context, name: str) -> dict[str, PolicyConfig]:
    path = context.cwd / Path(name).expanduser()
    try:
        return parse_config(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the policy configuration {path}: {error}") from error
