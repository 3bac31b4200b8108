"""Commands that say something about the engine, the user and the plugins; `install` alone changes something."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

from engine.cli import help_text
from engine.cli_plugins import found_plugins
from engine.errors import EngineError, UsageError
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
        "plugins": [{"name": p["name"], "version": p["version"]} for p in found_plugins(context)],
    }
    if context.arguments.flag("json"):
        context.say(json.dumps(body, indent=2))
        return
    context.say(f"Embedded engine for Pulumi {VERSION}, Python {platform.python_version()} on {platform.system()}")
    context.say(f"Backend: {context.backend.url}")
    for plugin in found_plugins(context):
        context.say(f"Plugin: {plugin['name']} {plugin['version']}".rstrip())


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
