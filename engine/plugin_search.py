"""Where a provider plugin is, and how it is started: which of several it is, and in which order they are looked for.

The order is Pulumi's own: the project's `plugins`, `pulumi-resource-NAME` on PATH (unless PULUMI_IGNORE_AMBIENT_PLUGINS
is set), then PULUMI_HOME/plugins, where a version that is asked for must be that one, and the newest is taken where
none is. The SDK's dynamic providers have a host that is the engine's own (`dynamic_host`), run with the project's
Python. Last, a Python distribution may offer one under the entry point group `pulumi.provider_plugins` (name = package,
value = a module that is run as `python -m`). It reads folders and starts nothing.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import yaml

from engine.errors import PluginError
from engine.operation import ProjectPlugin

ENTRY_POINTS: Final = "pulumi.provider_plugins"
DYNAMIC_PACKAGE: Final = "pulumi-python"
_DYNAMIC_HOST: Final = Path(__file__).resolve().parent / "dynamic_host"
_FOLDER = re.compile(r"resource-(?P<name>[a-zA-Z0-9-][a-zA-Z0-9-_.]*[a-zA-Z0-9])-v(?P<version>.*)")
_UNFINISHED = re.compile(r"\.tmp\d+$")
_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
# A plugin must not outlive an engine that was killed: it ends when its standard input does, held by the engine. It is
# read without Python's buffer, whose lock would abort a plugin that ends by itself.
_WATCH: Final = (
    "import os, runpy, sys, threading\n"
    "threading.Thread(target=lambda: (os.read(0, 1), os._exit(0)), daemon=True).start()\n"
)
_MODULE: Final = _WATCH + "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
_FOLDER_MAIN: Final = (
    _WATCH + "sys.argv.pop(0)\nsys.path[:] = filter(None, sys.path)\nrunpy.run_path(sys.argv[0], run_name='__main__')"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginCommand:
    """How a plugin is started, and from where, in words for a message."""

    argv: tuple[str, ...]
    origin: str
    folder: Path | None = None
    """The plugin's own folder, where it has one."""
    wants_address: bool = False
    """Whether the engine's address is to be its next argument."""
    quiet: bool = False
    """Whether what it writes is for its author only."""
    ambient: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPlugin:
    """A plugin in PULUMI_HOME/plugins."""

    name: str
    version: str
    folder: Path


Version = tuple[int, int, int, int, tuple[tuple[int, int, str], ...]]


def parse_version(text: str) -> Version | None:
    """A semantic version as something that sorts, build metadata aside; None for what is none."""
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        return None
    parts = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in (match[4] or "").split(".") if part
    )
    major, minor, patch = (int(match[i] or 0) for i in (1, 2, 3))
    # Without a pre-release part it is the later one.
    return major, minor, patch, 0 if parts else 1, parts


def plugins_folder(env: Mapping[str, str]) -> Path:
    home = env.get("PULUMI_HOME")
    return Path(home) / "plugins" if home else Path(env.get("HOME") or Path.home()) / ".pulumi" / "plugins"


def installed_plugins(folder: Path) -> Iterator[InstalledPlugin]:
    """What is installed in full, by folder name."""
    for path in sorted(folder.glob("resource-*-v*")) if folder.is_dir() else ():
        match = _FOLDER.fullmatch(path.name)
        unfinished = _UNFINISHED.search(path.name) or path.with_name(path.name + ".partial").exists()
        if match is not None and path.is_dir() and not unfinished and parse_version(match["version"]) is not None:
            yield InstalledPlugin(name=match["name"], version=match["version"], folder=path)


def find_plugin(
    package: str, version: str, env: Mapping[str, str], python: str, project: Sequence[ProjectPlugin] = ()
) -> PluginCommand:
    """The command that serves `package`. Raises PluginError that says where was looked."""
    own = _of_project(package, version, project)
    if own is not None:
        return _in_folder(own, package, python)
    if package == DYNAMIC_PACKAGE:
        return PluginCommand(argv=(python, "-u", str(_DYNAMIC_HOST)), origin=f"the engine's {_DYNAMIC_HOST.name}")
    executable = f"pulumi-resource-{package}"
    ambient = env.get("PULUMI_IGNORE_AMBIENT_PLUGINS", "").lower() not in _TRUE
    on_path = shutil.which(executable, path=env.get("PATH", "")) if ambient else None
    if on_path:
        return PluginCommand(
            argv=(on_path,),
            origin=f"$PATH at {on_path}",
            folder=Path(on_path).parent,
            wants_address=True,
            quiet=True,
            ambient=True,
        )
    folder = plugins_folder(env)
    candidates = [plugin for plugin in installed_plugins(folder) if plugin.name == package]
    chosen = _choose(candidates, version, legacy=bool(env.get("PULUMI_ENABLE_LEGACY_PLUGIN_SEARCH")))
    if chosen is not None:
        return _in_folder(chosen.folder, package, python)
    module = next((entry.value for entry in metadata.entry_points(group=ENTRY_POINTS, name=package)), None)
    if module is not None:
        return PluginCommand(argv=python_module(sys.executable, module), origin=f"the Python module {module}")
    raise PluginError(_missing(package, version, folder, candidates, ambient=ambient))


def python_module(python: str, module: str) -> tuple[str, ...]:
    """How a plugin in a Python module is run: it ends when its standard input does."""
    return (python, "-u", "-c", _MODULE, module)


def _of_project(package: str, version: str, project: Sequence[ProjectPlugin]) -> Path | None:
    wanted = parse_version(version)
    for plugin in project:
        theirs = parse_version(plugin.version)
        if plugin.name == package and (wanted is None or theirs is None or wanted == theirs):
            return plugin.path
    return None


def _choose(plugins: Sequence[InstalledPlugin], version: str, *, legacy: bool) -> InstalledPlugin | None:
    """The very version that is asked for; without one, or in the legacy search, the newest one, stable if there is."""
    wanted = parse_version(version)
    if wanted is not None and not legacy:
        return next((p for p in reversed(plugins) if parse_version(p.version) == wanted), None)

    def rank(plugin: InstalledPlugin) -> tuple[int, Version]:
        found = parse_version(plugin.version)
        return (found[3], found) if found is not None else (-1, (0, 0, 0, 0, ()))

    enough = [p for p in plugins if wanted is None or (parse_version(p.version) or wanted) >= wanted]
    return max(enough, key=rank, default=None)


def _missing(package: str, version: str, folder: Path, candidates: Sequence[InstalledPlugin], *, ambient: bool) -> str:
    at = f" at version v{version.removeprefix('v')}" if version else ""
    where = " or on your $PATH" if ambient else ""
    others = ", ".join(plugin.version for plugin in candidates)
    return (
        f"no resource plugin 'pulumi-resource-{package}' found in the workspace{at}{where}: there is none in {folder}"
        + (f" (only {others})" if others else "")
        + ", and no Python package offers one. Install the plugin, or use TENANTRY_ENGINE=stock with the pulumi CLI, "
        "which downloads it."
    )


# ------------------------------------------------------------------ a plugin's folder


def _in_folder(folder: Path, package: str, python: str) -> PluginCommand:
    """An executable, or a program that PulumiPlugin.yaml describes. `folder` may be the executable itself."""
    executable = folder if folder.is_file() else folder / f"pulumi-resource-{package}"
    if executable.is_file():
        return PluginCommand(
            argv=(str(executable),),
            origin=str(executable.parent),
            folder=executable.parent,
            wants_address=True,
            quiet=True,
        )
    description = folder / "PulumiPlugin.yaml"
    if not description.is_file():
        raise PluginError(
            f"the plugin for '{package}' in {folder} cannot be started: there is neither {executable.name} nor a "
            f"PulumiPlugin.yaml"
        )
    name, options = _runtime(description)
    if name != "python":
        raise PluginError(
            f"the plugin for '{package}' in {folder} runs on '{name}': the embedded engine starts executables and "
            f"Python programs. Install a built one, or use TENANTRY_ENGINE=stock with the pulumi CLI."
        )
    return _python_program(folder, package, python, options)


def _runtime(description: Path) -> tuple[str, Mapping[str, Any]]:
    try:
        body = yaml.safe_load(description.read_bytes()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise PluginError(f"loading PulumiPlugin.yaml: {description} cannot be read: {error}") from error
    runtime = body.get("runtime") if isinstance(body, dict) else None
    if isinstance(runtime, dict):
        return str(runtime.get("name") or ""), runtime.get("options") or {}
    if not isinstance(runtime, str) or not runtime:
        raise PluginError(f"loading PulumiPlugin.yaml: {description} names no runtime")
    return runtime, {}


def _python_program(folder: Path, package: str, python: str, options: Mapping[str, Any]) -> PluginCommand:
    """A folder with a `__main__.py`, or a Python package that is installed with its virtual environment."""
    home = _virtual_environment(folder, options)
    env: dict[str, str] = {}
    if home is not None:
        python = str(home / "bin" / "python")
        env = {"VIRTUAL_ENV": str(home)}
    if (folder / "__main__.py").is_file():
        argv: tuple[str, ...] = (python, "-u", "-c", _FOLDER_MAIN, str(folder))
    elif (folder / "pyproject.toml").is_file():
        argv = (*python_module(python, "pulumi.run.plugin"), _distribution(folder / "pyproject.toml"))
    else:
        raise PluginError(
            f"the plugin for '{package}' in {folder} is not runnable, it provides neither __main__.py nor a buildable "
            f"pyproject.toml"
        )
    return PluginCommand(argv=argv, origin=str(folder), folder=folder, wants_address=True, quiet=True, env=env)


def _virtual_environment(folder: Path, options: Mapping[str, Any]) -> Path | None:
    """The plugin's own environment; None where it names none and has none, and so runs in the program's."""
    named = options.get("virtualenv")
    home = folder / str(named or "venv")
    if (home / "bin" / "python").exists():
        return home
    if named:
        raise PluginError(
            f"the plugin in {folder} names the virtual environment {home}, which is not one. Make it: "
            f"python -m venv {home} && {home}/bin/pip install -r {folder}/requirements.txt"
        )
    return None


def _distribution(pyproject: Path) -> str:
    import tomllib

    try:
        body = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise PluginError(f"loading pyproject: {pyproject} cannot be read: {error}") from error
    name = body.get("project", {}).get("name")
    if not name:
        raise PluginError(f"loading pyproject: {pyproject} names no project")
    return str(name)
