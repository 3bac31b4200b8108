"""Pulumi.yaml, the backend it names, and the stack selected for it in PULUMI_HOME. Writes nothing but the selection."""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import yaml

from engine.backend import DiyBackend
from engine.bucket import Bucket, FileBucket
from engine.errors import StateError, UsageError
from engine.files import write_atomic
from engine.operation import ProjectPlugin

_FILES: Final = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A Pulumi.yaml. `config` is its `config` section as it stands."""

    path: Path
    name: str
    runtime: str
    runtime_options: Mapping[str, Any] = field(default_factory=dict)
    main: str = ""
    backend_url: str = ""
    config_dir: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    plugins: tuple[ProjectPlugin, ...] = ()

    @property
    def root(self) -> Path:
        return self.path.parent

    @property
    def program_dir(self) -> Path:
        """Where the program is: `main` may be a folder or a file in one."""
        target = (self.root / self.main) if self.main else self.root
        return target.parent if target.is_file() else target

    def stack_file(self, stack: str) -> Path:
        """`Pulumi.<stack>.yaml`, or the file with another ending that is there already."""
        folder = self.root / self.config_dir
        for ending in (".yaml", ".yml", ".json"):
            if (folder / f"Pulumi.{stack}{ending}").is_file():
                return folder / f"Pulumi.{stack}{ending}"
        return folder / f"Pulumi.{stack}{self.path.suffix}"


def load_yaml(path: Path) -> dict[str, Any]:
    """A mapping from a YAML or JSON file, empty for an empty one. Raises StateError that names file and place."""
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        with path.open("rb") as file:
            body = yaml.load(file, Loader=loader)  # noqa: S506 - both are safe loaders
    except yaml.YAMLError as error:
        raise StateError(f"{path} is not YAML: {error}") from error
    except OSError as error:
        raise StateError(f"cannot read {path}: {error.strerror}") from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise StateError(f"{path} should hold a mapping, not a {type(body).__name__}")
    return body


def find_project(start: Path) -> Project:
    """The project of a folder or of one above it. Raises UsageError where there is none."""
    for folder in (start, *start.parents):
        for name in _FILES:
            if (folder / name).is_file():
                return load_project(folder / name)
    raise UsageError(
        "no Pulumi.yaml project file found (searching upwards from "
        f"{start}). Write one, with a name and `runtime: python`, or name the project's folder with --cwd"
    )


def load_project(path: Path) -> Project:
    body = load_yaml(path)
    name, runtime = body.get("name"), body.get("runtime")
    if not isinstance(name, str) or not name:
        raise UsageError(f"could not load the project {path}: it has no 'name'")
    options: Mapping[str, Any] = {}
    if isinstance(runtime, dict):
        options, runtime = runtime.get("options") or {}, runtime.get("name")
    if not isinstance(runtime, str) or not runtime:
        raise UsageError(f"could not load the project {path}: it has no 'runtime'")
    backend = body.get("backend") or {}
    config = body.get("config")
    # `config: folder` is the old name of stackConfigDir.
    folder = body.get("stackConfigDir") or (config if isinstance(config, str) else "")
    return Project(
        path=path,
        name=name,
        runtime=runtime,
        runtime_options=options,
        main=body.get("main") or "",
        backend_url=(backend.get("url") if isinstance(backend, dict) else None) or "",
        config_dir=folder or "",
        config=config if isinstance(config, dict) else {},
        plugins=tuple(_plugins(path, body)),
    )


def _plugins(project: Path, body: Mapping[str, Any]) -> Iterator[ProjectPlugin]:
    """The provider plugins of `plugins.providers`, and those of `packages` that are folders here."""
    section = body.get("plugins") or {}
    for entry in (section.get("providers") or ()) if isinstance(section, dict) else ():
        if not isinstance(entry, dict) or not entry.get("name") or not entry.get("path"):
            raise UsageError(f"could not load the project {project}: each of plugins.providers needs a name and a path")
        version = str(entry.get("version") or "")
        yield ProjectPlugin(name=str(entry["name"]), path=project.parent / str(entry["path"]), version=version)
    packages = body.get("packages") or {}
    for name, entry in packages.items() if isinstance(packages, dict) else ():
        source = entry.get("source") if isinstance(entry, dict) else entry
        if isinstance(source, str) and source.startswith((".", "/")):
            yield ProjectPlugin(name=str(name), path=project.parent / source)


# ------------------------------------------------------------------ PULUMI_HOME


def pulumi_home(environment: Mapping[str, str]) -> Path:
    named = environment.get("PULUMI_HOME")
    return Path(named) if named else _user_home(environment) / ".pulumi"


def _user_home(environment: Mapping[str, str]) -> Path:
    home = environment.get("HOME") or environment.get("USERPROFILE")
    return Path(home) if home else Path.home()


def open_backend(project: Project | None, environment: Mapping[str, str], cwd: Path) -> DiyBackend:
    """The backend of PULUMI_BACKEND_URL, else of the project, else of `pulumi login`, else the home folder's."""
    url, base = environment.get("PULUMI_BACKEND_URL") or "", cwd
    if not url and project is not None and project.backend_url:
        url, base = project.backend_url, project.root
    if not url:
        url = _logged_in(pulumi_home(environment)) or "file://~"
    return DiyBackend(_bucket(url, environment, base))


def _bucket(url: str, environment: Mapping[str, str], base: Path) -> Bucket:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UsageError(
            "the backend's URL cannot be understood: write it as file://FOLDER or postgres://..."
        ) from None
    if not parts.scheme:
        raise UsageError(f"the backend '{url}' has no scheme: a folder is written as file://{url}")
    if parts.scheme == "file":
        text = unquote(parts.netloc + parts.path)
        home = _user_home(environment)
        folder = home / text[2:] if text == "~" or text.startswith("~/") else base / text
        return FileBucket(url, folder.resolve())
    if parts.scheme in {"postgres", "postgresql"}:
        from engine.bucket_postgres import PostgresBucket  # loads psycopg, which files do not need

        return PostgresBucket(url, environment)
    # What else is in the URL may be a password.
    raise UsageError(
        f"the backend '{parts.scheme}://' is not served: this engine keeps state in files and in PostgreSQL. Use "
        "file://<folder> or postgres://... in PULUMI_BACKEND_URL or as backend.url of Pulumi.yaml."
    )


def _logged_in(home: Path) -> str:
    try:
        body = json.loads((home / "credentials.json").read_bytes())
    except (OSError, ValueError):
        return ""
    current = body.get("current") if isinstance(body, dict) else None
    return current if isinstance(current, str) else ""


def _workspace_file(project: Project, home: Path) -> Path:
    # SHA-1 is the stock engine's choice of a file name; nothing depends on it being hard to forge.
    digest = hashlib.sha1(str(project.path).encode(), usedforsecurity=False).hexdigest()
    return home / "workspaces" / f"{project.name}-{digest}-workspace.json"


def selected_stack(project: Project, environment: Mapping[str, str]) -> str:
    """The selected stack's name, empty where none is. PULUMI_STACK comes first."""
    named = environment.get("PULUMI_STACK")
    if named:
        return named
    try:
        body = json.loads(_workspace_file(project, pulumi_home(environment)).read_bytes())
    except (OSError, ValueError):
        return ""
    stack = body.get("stack") if isinstance(body, dict) else None
    return stack if isinstance(stack, str) else ""


def select_stack(project: Project, environment: Mapping[str, str], stack: str) -> None:
    """Remembers the selection; an empty name forgets it."""
    path = _workspace_file(project, pulumi_home(environment))
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError):
        body = {}
    body["stack"] = stack
    write_atomic(path, json.dumps(body, indent=4).encode("utf-8"), sync=False)


def whoami() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
