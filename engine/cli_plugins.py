"""`plugin ls`, `install` and `rm`: the provider plugins in PULUMI_HOME, and where else there are some."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from engine.errors import EngineError, UsageError
from engine.plugin_search import ENTRY_POINTS, InstalledPlugin, installed_plugins, parse_version, plugins_folder
from engine.workspace import Context

_KIND: Final = "resource"
_COMPARISON = re.compile(r"(>=|<=|!=|==|>|<|=|!)?\s*([^\s<>=!]+)")


def ls(context: Context) -> None:
    found = found_plugins(context)
    if context.arguments.flag("json"):
        context.say(json.dumps(found, indent=2))
        return
    context.say(f"{'NAME':<20} {'KIND':<10} VERSION")
    for plugin in found:
        context.say(f"{plugin['name']:<20} {plugin['kind']:<10} {plugin['version']}".rstrip())


def found_plugins(context: Context) -> list[dict[str, Any]]:
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
    """Installs a plugin from a file; one that is there already is left as it is."""
    words, given = context.arguments.positional, context.arguments
    if len(words) < 3:
        raise UsageError("plugin install needs a kind, a name and a version: plugin install resource NAME VERSION")
    kind, name, number = words[0], words[1], words[2].removeprefix("v")
    _require_kind(kind)
    if parse_version(number) is None:
        raise UsageError(f"invalid plugin semver: '{words[2]}' is not a version")
    target = plugins_folder(context.environment) / f"{_KIND}-{name}-v{number}"
    there = any(plugin.folder == target for plugin in installed_plugins(target.parent))
    if there and not given.flag("reinstall"):
        return
    source = given.value("file")
    if not source:
        raise UsageError(
            f"the plugin {name} v{number} is not installed, and the embedded engine downloads none: give its archive "
            f"with --file, or put pulumi-resource-{name} on PATH"
        )
    _unpack(context.cwd / source, target, f"pulumi-{_KIND}-{name}")
    context.say(f"Installed {_KIND} plugin {name} v{number}")


def _unpack(source: Path, target: Path, executable: str) -> None:
    """Unpacks an archive, or takes an executable. A mark beside it says, as the stock CLI's does, until it is done."""
    mark = target.with_name(target.name + ".partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    try:
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif tarfile.is_tarfile(source):
            with tarfile.open(source) as archive:
                archive.extractall(target, filter="data")
        else:
            shutil.copy2(source, target / executable)
            (target / executable).chmod(0o755)
    except (OSError, tarfile.TarError) as error:
        shutil.rmtree(target, ignore_errors=True)
        mark.unlink(missing_ok=True)
        raise EngineError(f"installing plugin from {source}: {error}") from error
    mark.unlink()


def rm(context: Context) -> None:
    """Removes installed plugins: of a kind, a name, and a range of versions."""
    words, given = context.arguments.positional, context.arguments
    if not words and not given.flag("all"):
        raise UsageError("please pass --all if you'd like to remove all plugins")
    if words:
        _require_kind(words[0])
    name, wanted = (*words[1:3], "", "")[:2]
    folder = plugins_folder(context.environment)
    doomed = [p for p in installed_plugins(folder) if name in ("", p.name) and in_range(p.version, wanted)]
    if not doomed:
        raise EngineError("no plugins found to uninstall")
    if not given.flag("yes"):
        names = ", ".join(f"{plugin.name} v{plugin.version}" for plugin in doomed)
        raise UsageError(f"this would remove {names} from {folder}: pass --yes to do so")
    for plugin in doomed:
        _remove(plugin)
        context.say(f"removed: {_KIND} {plugin.name}-v{plugin.version}")


def _remove(plugin: InstalledPlugin) -> None:
    try:
        shutil.rmtree(plugin.folder)
    except OSError as error:
        raise EngineError(f"failed to delete plugin {plugin.name} v{plugin.version}: {error}") from error


def _require_kind(kind: str) -> None:
    if kind != _KIND:
        raise UsageError(
            f"plugins of kind '{kind}' are not served: the embedded engine has provider plugins ('{_KIND}')"
        )


def in_range(version: str, wanted: str) -> bool:
    """Whether a version is in a range such as `>=1.0.0 <2.0.0 || 3.1.0`; an empty range holds all."""
    return not wanted.strip() or any(_all_hold(version, part) for part in wanted.split("||"))


def _all_hold(version: str, conditions: str) -> bool:
    found = parse_version(version)
    for match in _COMPARISON.finditer(conditions.strip()):
        other = parse_version(match[2])
        if found is None or other is None:
            raise UsageError(f"invalid plugin semver range: '{match[2]}' is not a version")
        holds = {">=": found >= other, "<=": found <= other, ">": found > other, "<": found < other}
        unequal = match[1] in ("!=", "!")
        if not holds.get(match[1], (found == other) != unequal):
            return False
    return True
