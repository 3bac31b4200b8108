"""docker.Container: made, completed, started, awaited; known by its id.

Decides in which order, so that a run that was killed at any point is continued: what a container has by the time that
it has first been started (its networks, its files) is made before, and again until then. One that exists but is not as
it is to be is reported as such, so that the engine keeps track of it.
"""

from typing import Any

from providers.docker import container_config as wanted
from providers.docker import images, marks
from providers.docker.client import Client
from providers.docker.container_facts import facts_of
from providers.docker.container_spec import CHANGEABLE, HOW, SPEC
from providers.docker.errors import EngineError, MissingError
from providers.docker.names import valid_name
from providers.plugin.errors import InitFailedError, ProviderError, RefusedError
from providers.plugin.properties import Failure
from providers.plugin.resource import Call, refuse_foreign
from providers.plugin.wire import Plain

REMOVE_SECONDS = 45.0
ATTACH_SECONDS = 300.0
SETTLE_SECONDS = 0.3
"""How long a container has to be up before it counts as running: what cannot start ends within that."""
_AFTERLIFE_SECONDS = 15.0
"""How long is waited for the next end of one that was started again, to know how it ends."""
_LOG_LINES = 10_000


class Container:
    token = "docker:index/container:Container"  # noqa: S105
    exclusive = True
    spec = SPEC

    def validate(self, inputs: Plain) -> list[Failure]:
        return [*valid_name(inputs), *wanted.validate(inputs)]

    def identify(self, call: Call[Client], inputs: Plain) -> str:  # noqa: ARG002
        return str(inputs["id"])

    def parse_id(self, object_id: str) -> Plain:
        if not object_id:
            raise RefusedError("the id of a Container is its id or its name")
        return {"name": object_id}

    def create(self, call: Call[Client], inputs: Plain) -> str:
        name = str(inputs["name"])
        # How it is handled can change without it: not what it is made from.
        digest = marks.digest_of(inputs, call.mark, HOW)
        platform = str(inputs.get("platform") or "")
        images.ensure(call.client, str(inputs["image"]), platform, call.timeout)
        found = _find(call.client, name)
        if found is not None:
            labels = found["Config"].get("Labels") or {}
            refuse_foreign(call.mark, f"container {name!r}", labels.get(marks.MARK))
            if labels.get(marks.DIGEST) != digest:
                _remove(call, str(found["Id"]), inputs)
                found = None
        container_id = _make(call, inputs, platform, digest) if found is None else str(found["Id"])
        _complete(call, container_id, inputs)
        return container_id

    def read(self, call: Call[Client], known: Plain) -> Plain | None:
        seen = _find(call.client, call.object_id or str(known["name"]))
        if seen is None:
            return None
        image = images.find(call.client, str(known.get("image") or seen["Config"].get("Image") or seen["Image"]))
        facts = facts_of(seen, image, known)
        if known.get("attach") and known.get("logs") and not seen["State"].get("Running"):
            facts["containerLogs"] = _log(call.client, seen)
        return facts

    def update(self, call: Call[Client], olds: Plain, news: Plain, changed: frozenset[str]) -> None:
        name = str(news["name"])
        if changed & CHANGEABLE:
            body = wanted.limits_body(news)
            chosen = olds.get("memorySwap") in {None, 0, 2 * int(olds.get("memory") or 0)}
            if "memory" in changed and "memorySwap" not in changed and chosen:
                # As the engine chooses it for a new container; what it chose for the old limit may be too little.
                body["MemorySwap"] = 2 * body.get("Memory", 0)
            call.client.call(f"change container {name!r}", lambda api: api.change_container(call.object_id, body))
        _complete(call, call.object_id, news)

    def delete(self, call: Call[Client], olds: Plain) -> None:
        _remove(call, call.object_id, olds)


def _find(client: Client, name: str) -> dict[str, Any] | None:
    return client.find(f"look for container {name!r}", lambda api: dict(api.inspect_container(name)))


def _make(call: Call[Client], inputs: Plain, platform: str, digest: str) -> str:
    name = str(inputs["name"])
    body = wanted.create_body(inputs, marks.marked(inputs, call.mark, digest))

    def make() -> str:
        made = call.client.call(
            f"create container {name!r}",
            lambda api: api.create_container_from_config(body, name, platform or None),
            hide=_confidential(inputs),
        )
        return str(made["Id"])

    return call.client.making(make, lambda: _late(call, name, digest))


def _late(call: Call[Client], name: str, digest: str) -> str | None:
    found = _find(call.client, name)
    return str(found["Id"]) if found and marks.is_of(found["Config"].get("Labels"), call.mark, digest) else None


def _confidential(inputs: Plain) -> list[str]:
    """What may be a secret in what the engine says of an input."""
    values = [str(each).partition("=")[2] for each in inputs.get("envs") or []]
    return values + [str(item.get("content") or "") for item in inputs.get("uploads") or []]


def _complete(call: Call[Client], container_id: str, inputs: Plain) -> None:
    """Networks, files, start, and what is to be waited for. Raises InitFailedError while the container is there.

    It is that, too, where the engine answers no more: what was made and is forgotten nobody takes away.
    """
    try:
        call.client.retrying(lambda: _settle(call, container_id, inputs))
    except ProviderError as error:
        if not isinstance(error, InitFailedError) and _is_gone(call.client, container_id):
            raise
        raise InitFailedError(str(error), object_id=container_id) from None


def _is_gone(client: Client, container_id: str) -> bool:
    """Whether the engine says so: if it says nothing, the container may be there."""
    try:
        return client.retrying(lambda: _find(client, container_id)) is None
    except ProviderError:
        return False


def _settle(call: Call[Client], container_id: str, inputs: Plain) -> None:
    name = str(inputs["name"])
    seen = _find(call.client, container_id)
    if seen is None:
        raise ProviderError(f"container {name!r} is gone: something else removes it")
    if seen["State"].get("Status") == "created":
        _connect(call.client, seen, inputs)
        for item in inputs.get("uploads") or []:
            _upload(call.client, container_id, item, inputs)
    if not inputs.get("start", True):
        return
    first = seen["State"].get("Status") == "created"
    if not seen["State"].get("Running") and (first or inputs.get("mustRun", True)):
        call.client.call(f"start container {name!r}", lambda api: api.start(container_id), hide=_confidential(inputs))
    _await(call, container_id, inputs, started=first)


def _connect(client: Client, seen: dict[str, Any], inputs: Plain) -> None:
    given = inputs.get("networksAdvanced") or []
    if not given:
        return
    name, container_id = str(inputs["name"]), str(seen["Id"])
    connected = seen["NetworkSettings"].get("Networks") or {}
    ids = {str(each.get("NetworkID")) for each in connected.values()}
    names = {str(item["name"]) for item in given}
    for item in given:
        network = str(item["name"])
        if network in connected or network in ids:
            continue
        _connect_to(client, container_id, item, f"connect container {name!r} to network {network!r}")
    mode = inputs.get("networkMode") or "bridge"
    if mode in connected and mode not in names:
        client.call(
            f"take container {name!r} out of network {mode!r}",
            lambda api: api.disconnect_container_from_network(container_id, mode),
        )


def _connect_to(client: Client, container_id: str, item: Plain, doing: str) -> None:
    how = wanted.endpoint(item)
    client.call(doing, lambda api: api.connect_container_to_network(container_id, str(item["name"]), **how))


def _upload(client: Client, container_id: str, item: Plain, inputs: Plain) -> None:
    archive = wanted.upload_archive(item)
    doing = f"upload {item['file']} to container {inputs['name']!r}"
    client.call(doing, lambda api: api.put_archive(container_id, "/", archive), hide=_confidential(inputs))


def _await(call: Call[Client], container_id: str, inputs: Plain, *, started: bool) -> None:
    name = str(inputs["name"])
    if inputs.get("attach"):
        if started:
            _await_end(call, container_id, name)
        return
    if inputs.get("mustRun", True):
        limit = int(inputs.get("containerReadRefreshTimeoutMilliseconds") or 15_000) / 1000
        _await_running(call, container_id, name, limit)
    if inputs.get("wait"):
        _await_healthy(call, container_id, name, float(inputs.get("waitTimeout") or 60))


def _await_running(call: Call[Client], container_id: str, name: str, limit: float) -> None:
    state: dict[str, Any] = {}

    def up_or_ended() -> bool:
        nonlocal state
        state = _state(call.client, container_id, name)
        return _is_up(state) or state.get("Status") in {"exited", "dead"}

    def ended() -> bool:
        return (up_or_ended() or state.get("Status") == "restarting") and not _is_up(state)

    settled = call.client.wait_until(limit, up_or_ended) and _is_up(state)
    if settled:
        started = state.get("StartedAt")
        call.client.pause(SETTLE_SECONDS)
        state = _state(call.client, container_id, name)
        settled = _is_up(state) and state.get("StartedAt") == started
    if not settled:
        # It may just have been started again, when the engine does not know how it has ended before.
        call.client.wait_until(min(limit, _AFTERLIFE_SECONDS), ended)
        raise InitFailedError(
            f"container {name!r} does not keep running: it is {state.get('Status')}, exit code "
            f"{state.get('ExitCode')}. See `docker logs {name}`; with mustRun: false it may end"
        )


def _is_up(state: dict[str, Any]) -> bool:
    return bool(state.get("Running")) and not state.get("Restarting")


def _await_healthy(call: Call[Client], container_id: str, name: str, limit: float) -> None:
    last: dict[str, Any] = {}

    def healthy_or_ended() -> bool:
        nonlocal last
        last = _state(call.client, container_id, name)
        if last.get("Health") is None and last.get("Running"):
            raise InitFailedError(
                f"container {name!r} cannot be waited for: neither it nor its image has a healthcheck. Give one, or "
                f"set wait: false"
            )
        return (last.get("Health") or {}).get("Status") == "healthy" or last.get("Status") in {"exited", "dead"}

    call.client.wait_until(limit, healthy_or_ended)
    if (last.get("Health") or {}).get("Status") == "healthy":
        return
    checks = (last.get("Health") or {}).get("Log") or []
    # Without what the check printed, which may be anything.
    seen = f"exit code {checks[-1].get('ExitCode')} of its last check" if checks else "no check has ended"
    status = (last.get("Health") or {}).get("Status") or last.get("Status")
    raise InitFailedError(
        f"container {name!r} did not become healthy within {limit:g} s: it is {status}, {seen}. "
        f"See `docker inspect {name}`"
    )


def _await_end(call: Call[Client], container_id: str, name: str) -> None:
    limit = call.timeout or ATTACH_SECONDS
    if not call.client.wait_until(limit, lambda: not _state(call.client, container_id, name).get("Running")):
        raise InitFailedError(
            f"container {name!r} has not ended within {limit:g} s, which attach waits for. Raise customTimeouts"
        )


def _state(client: Client, container_id: str, name: str) -> dict[str, Any]:
    seen = _find(client, container_id)
    if seen is None:
        raise ProviderError(f"container {name!r} is gone: it removes itself (rm), or something else does")
    return dict(seen["State"])


def _log(client: Client, seen: dict[str, Any]) -> str:
    def read(api: Any) -> bytes:
        return bytes(api.logs(str(seen["Id"]), tail=_LOG_LINES))

    return client.call(f"read the log of container {seen['Name']!r}", read).decode(errors="replace")


def _remove(call: Call[Client], container_id: str, inputs: Plain) -> None:
    """Stopped, as gently as the inputs say, and gone."""
    name, grace = str(inputs.get("name")), int(inputs.get("destroyGraceSeconds") or 0)
    volumes = bool(inputs.get("removeVolumes", True))
    try:
        if grace > 0:
            call.client.call(
                f"stop container {name!r}",
                lambda api: api.stop(container_id, timeout=grace),
                seconds=grace + REMOVE_SECONDS,
            )
        call.client.call(
            f"remove container {name!r}",
            lambda api: api.remove_container(container_id, v=volumes, force=True),
            seconds=REMOVE_SECONDS,
        )
    except MissingError:
        return
    except EngineError as error:
        if "already in progress" not in str(error):
            raise
    limit = call.timeout or REMOVE_SECONDS
    if not call.client.wait_until(limit, lambda: _find(call.client, container_id) is None):
        raise ProviderError(
            f"cannot remove container {name!r}: it is still there after {limit:g} s. See the engine's log"
        )
