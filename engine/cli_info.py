"""Commands that say something about the engine, the user and the plugins; `install` alone changes something."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from engine.cli import help_text
from engine.errors import EngineError, UsageError
from engine.plugin_search import ENTRY_POINTS, installed_plugins, plugins_folder
from engine.program import project_python
from engine.project import whoami as user_name
from engine.stack_ref import ORGANIZATION
from engine.versions import VERSION, VERSION_TEXT
from engine.workspace import Context


def overview(context: Context) -> None:
    context.streams.stdout.write(help_text(context.arguments.command))


def version(context: Context) -> None:
    context.say(VERSION_TEXT)


def whoami(context: Context) -> None:
    if context.arguments.flag("json"):
        body = {"user": user_name(), "organizations": [ORGANIZATION], "url": context.backend.url}
        context.say(json.dumps(body, indent=2))
    else:
        context.say(user_name())


def about(context: Context) -> None:
    body = {
        "cliAbout": {"version": VERSION, "engine": "embedded"},
        "host": {"os": platform.system().lower(), "arch": platform.machine()},
        "backend": {"url": context.backend.url, "user": user_name()},
        "runtime": {"language": "python", "version": platform.python_version()},
        "plugins": [{"name": p["name"], "version": p["version"]} for p in _plugins(context)],
    }
    if context.arguments.flag("json"):
        context.say(json.dumps(body, indent=2))
        return
    context.say(f"Embedded engine for Pulumi {VERSION}, Python {platform.python_version()} on {platform.system()}")
    context.say(f"Backend: {context.backend.url}")
    for plugin in _plugins(context):
        context.say(f"Plugin: {plugin['name']} {plugin['version']}".rstrip())


def plugin_ls(context: Context) -> None:
    found = _plugins(context)
    if context.arguments.flag("json"):
        context.say(json.dumps(found, indent=2))
        return
    context.say(f"{'NAME':<20} {'KIND':<10} VERSION")
    for plugin in found:
        context.say(f"{plugin['name']:<20} {plugin['kind']:<10} {plugin['version']}".rstrip())


def _plugins(context: Context) -> list[dict[str, Any]]:
    """The project's plugins, executables on PATH, what is installed in PULUMI_HOME, and Python packages, in that order.

    Of a name and version only the first one is told of, as only that one is used.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name, number, path in _places(context):
        found.setdefault((name, number), _plugin(name, number, path))
    return [found[key] for key in sorted(found)]


def _places(context: Context) -> Iterator[tuple[str, str, Path | None]]:
    """(name, version, place) of each plugin."""
    for plugin in context.project.plugins if context.arguments.flag("project") else ():
        yield plugin.name, plugin.version, plugin.path
    for folder in context.environment.get("PATH", "").split(":"):
        for path in sorted(Path(folder).glob("pulumi-resource-*")) if folder else ():
            yield path.name.removeprefix("pulumi-resource-").removesuffix(".exe"), "", path
    for installed in installed_plugins(plugins_folder(context.environment)):
        yield installed.name, installed.version, installed.folder
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        yield entry.name, entry.dist.version if entry.dist is not None else "", None


def _plugin(name: str, number: str, path: Path | None) -> dict[str, Any]:
    stat = path.stat() if path is not None and path.exists() else None
    when = datetime.fromtimestamp(stat.st_mtime if stat else 0, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    size = _size(path) if path is not None else 0
    return {
        "name": name,
        "kind": "resource",
        "version": number,
        "size": size,
        "installTime": when,
        "lastUsedTime": when,
    }


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file())


def install(context: Context) -> None:
    """Makes the program's virtual environment and installs its requirements.txt, where there is one."""
    project = context.project
    if context.arguments.flag("no-dependencies") or project.runtime != "python":
        context.say("Nothing to install: plugins come as Python packages, or as executables on PATH.")
        return
    named = project.runtime_options.get("virtualenv")
    if named and (context.arguments.flag("reinstall") or not (project.root / str(named)).exists()):
        _run(context, [sys.executable, "-m", "venv", "--clear", str(project.root / str(named))], project.root)
    requirements = project.program_dir / "requirements.txt"
    if not requirements.is_file():
        requirements = project.root / "requirements.txt"
    if not requirements.is_file():
        context.say(f"There is no requirements.txt in {project.root}: nothing to install.")
        return
    if not named:
        raise UsageError(
            f"{project.path} names no virtual environment (runtime.options.virtualenv), and packages are not installed "
            "into the Python that runs the engine"
        )
    python = project_python(project, context.environment)
    _run(context, [str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)], project.root)
    context.say("Finished installing dependencies")


def _run(context: Context, command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, env=dict(context.environment), capture_output=True, text=True, check=False
    )
    context.streams.stdout.write(done.stdout)
    if done.returncode:
        raise EngineError(f"`{' '.join(command)}` failed with exit code {done.returncode}:\n{done.stderr.strip()}")
