"""A tenant's container as a process under supervisor, by its name in the region's include folder.

Decides whose a process is, by the mark in its document, and that it runs what the document says: a change restarts it.
It does not wait until the process serves: that is `providers.container_ready`'s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.backends import ProcessBackend, container_of
from providers.errors import ConfigurationError, OwnershipError, ProviderError
from providers.moved import check_kept
from providers.props import diff_of, required
from providers.supervisor.files import Document, Folder
from providers.supervisor.rpc import Supervisor

IDENTITY = ("region", "name", "tenant_mark")
OWNED = ("command", "environment", "memory_mb", "running")
_RUNS = frozenset({"STARTING", "RUNNING"})


class ProcessProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, (*IDENTITY, "command", "memory_mb"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=OWNED)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["name"]), _applied(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        folder, supervisor = _kept(id_, props)
        document = folder.document(id_)
        if document is None or document.tenant_mark != props["tenant_mark"]:
            return ReadResult("", {})
        running = folder.program_is_ours(id_) and supervisor.state() in _RUNS
        outs = _outputs(props["region"], id_, document, running=running)
        return ReadResult(id_, outs | {key: props[key] for key in ("folder",) if key in props})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        _kept(_id, {**_olds, **_news})
        return UpdateResult(_applied(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        folder, supervisor = _kept(_id, _props)
        document = folder.document(_id)
        # Another tenant's process under this name means that ours is gone already.
        if document is None or document.tenant_mark != _props["tenant_mark"]:
            return
        supervisor.forget()
        folder.delete_program(_id)
        supervisor.reread()
        folder.delete(_id)


class Process(Resource, module="tenantry", name="Process"):
    """`port` is where it listens on this machine; `revision` grows with each change. The environment is a secret."""

    port: pulumi.Output[int]
    revision: pulumi.Output[int]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["environment"])
        values = {**props, "running": True, "port": None, "revision": None}
        super().__init__(ProcessProvider(), name, values, pulumi.ResourceOptions.merge(opts, secret))


def _applied(props: dict[str, Any]) -> dict[str, Any]:
    region, name = str(props["region"]), str(props["name"])
    folder, supervisor = _place(region, name)
    with folder.locked():
        old = _own(folder, supervisor, props)
        document = Document(
            tenant_mark=str(props["tenant_mark"]),
            command=tuple(props["command"]),
            environment=dict(props.get("environment") or {}),
            memory_mb=int(props["memory_mb"]),
            port=old.port if old else folder.free_port(),
            revision=old.revision + 1 if old else 1,
        )
        with _else_as_before(folder, supervisor, old, told=False):
            folder.write(name, document)
    with _else_as_before(folder, supervisor, old, told=False):
        changes = supervisor.reread()
    with _else_as_before(folder, supervisor, old, told=True):
        # Also where the document is as it was: a run that was cut off may have left the process with an older one.
        supervisor.run_anew(changes)
    return _outputs(region, name, document, running=True) | {"folder": str(folder.path)}


def _own(folder: Folder, supervisor: Supervisor, props: dict[str, Any]) -> Document | None:
    """The tenant's document, where there is one. Raises OwnershipError for what is somebody else's."""
    name = supervisor.program
    old = folder.document(name)
    if old is None and (folder.has_program(name) or supervisor.state() is not None):
        raise OwnershipError(
            f"process {name!r}: supervisor has a program of this name that is not Tenantry's. Rename or remove it."
        )
    if old is not None and old.tenant_mark != props["tenant_mark"]:
        raise OwnershipError(f"process {name!r}: it belongs to {old.tenant_mark}. Choose another name.")
    return old


@contextlib.contextmanager
def _else_as_before(folder: Folder, supervisor: Supervisor, old: Document | None, *, told: bool) -> Iterator[None]:
    """A create that fails is in no state: nobody would remove what it has made. What it found is put back.

    `told`: supervisor may have the program by now. Where that cannot be taken back, its files stay: by them the next
    run knows it for its own.
    """
    name = supervisor.program
    try:
        yield
    except Exception:
        with contextlib.suppress(ProviderError, OSError):
            if old is not None:
                folder.write(name, old)
                if told:
                    supervisor.run_anew(supervisor.reread())
            else:
                if told:
                    supervisor.forget()
                folder.delete(name)
        raise


def _outputs(region: str, name: str, document: Document, *, running: bool) -> dict[str, Any]:
    return {
        "region": region,
        "name": name,
        "tenant_mark": document.tenant_mark,
        "command": list(document.command),
        "environment": dict(document.environment),
        "memory_mb": document.memory_mb,
        "running": running,
        "port": document.port,
        "revision": document.revision,
    }


def _kept(id_: str, props: dict[str, Any]) -> tuple[Folder, Supervisor]:
    """As `_place`. Raises ConfigurationError where the process is in a folder that the region had before."""
    folder, supervisor = _place(props["region"], id_)

    def there() -> bool:
        document = folder.document(id_)
        return document is not None and document.tenant_mark == props["tenant_mark"]

    what, key = f"process {id_!r}", "container.folder"
    check_kept(props.get("folder"), str(folder.path), what=what, key=key, there=there)
    return folder, supervisor


def _place(region: str, name: str) -> tuple[Folder, Supervisor]:
    backend = container_of(region)
    if not isinstance(backend, ProcessBackend):
        raise ConfigurationError(
            f"process {name!r}: region {region!r} now runs containers on {backend.platform}. "
            "Give the region back its platform, remove the tenant, then change it."
        )
    return Folder.at(backend.folder), Supervisor.of(backend, name)
