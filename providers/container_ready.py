"""Waits until a tenant's container serves: its health path answers as it should, within a limit.

Decides what is ready (an answer of 2xx), and that one that died is not waited for. It makes and deletes nothing; where
it is read, it says whether the container serves at this moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.backends import DockerBackend, ProcessBackend, RailwayBackend, container_of
from providers.errors import NotReadyError
from providers.props import diff_of, required

READY_SECONDS = 45.0
CALL_SECONDS = 5.0
_POLL_SECONDS = 0.1
_SLOWER = 1.0
_RESTARTS = 4
"""A container that has ended so often will not serve by being started again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look at the container has shown. `ended`: it will never be ready by itself.

    `error` is why there could be no look this time: one that may pass, as an engine does that is started anew.
    """

    ready: bool
    words: str = ""
    ended: bool = False
    error: Exception | None = None


class ContainerReadyProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, ("region", "name"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=(), owned=("region", "name", "url", "revision", "ready"))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["name"]), _waited(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        seen = _look(props)()
        if seen.error is not None:
            raise seen.error
        return ReadResult(id_, {**props, "ready": seen.ready})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_waited(_news))


class ContainerReady(Resource, module="tenantry", name="ContainerReady"):
    """`url` is what is asked; a new `revision` of the container is waited for again, for at most `seconds`."""

    ready: pulumi.Output[bool]

    def __init__(
        self,
        name: str,
        *,
        container: str,
        region: str,
        url: pulumi.Input[str],
        revision: pulumi.Input[Any],
        seconds: float | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        place: dict[str, Any] = {"region": region, "name": container, "url": url}
        props = {**place, "revision": revision, "seconds": seconds, "ready": True}
        super().__init__(ContainerReadyProvider(), name, props, opts)


def wait_until_ready(what: str, look: Callable[[], Seen], *, seconds: float) -> None:
    """Raises NotReadyError saying what was last seen, or why it could not be looked at in the end."""
    begun = time.monotonic()
    while not (seen := look()).ready:
        if seen.ended:
            raise NotReadyError(f"{what}: it does not run: {seen.words}.")
        passed = time.monotonic() - begun
        if passed > seconds:
            if seen.error is not None:
                raise seen.error
            raise NotReadyError(f"{what}: {seen.words} after {seconds:g} s. See what the container writes, then retry.")
        time.sleep(_POLL_SECONDS if passed < seconds / 4 else _SLOWER)


def probe(url: str) -> Seen:
    """Ready where `url` answers 2xx."""
    import httpx

    try:
        answer = httpx.get(url, timeout=CALL_SECONDS, follow_redirects=False, trust_env=False)
    except httpx.HTTPError as error:
        return Seen(ready=False, words=f"{url} does not answer ({str(error) or type(error).__name__})")
    return Seen(ready=answer.is_success, words=f"{url} answers {answer.status_code}")


def _waited(props: dict[str, Any]) -> dict[str, Any]:
    seconds = float(props.get("seconds") or READY_SECONDS)
    wait_until_ready(f"container {props['name']!r}", _look(props), seconds=seconds)
    return {**props, "ready": True}


def _look(props: dict[str, Any]) -> Callable[[], Seen]:
    """How to look at the container, on the platform of its region."""
    region, name = str(props["region"]), str(props["name"])
    backend = container_of(region)
    if isinstance(backend, ProcessBackend):
        return lambda: _process(backend, name, str(props["url"]))
    if isinstance(backend, RailwayBackend):
        return lambda: _deployment(region, str(props["revision"]))
    if isinstance(backend, DockerBackend):
        return lambda: _container(region, name, str(props["url"]))
    return lambda: probe(str(props["url"]))


def _process(backend: ProcessBackend, name: str, url: str) -> Seen:
    from providers.supervisor.rpc import Supervisor

    seen = probe(url)
    if not seen.ready:
        supervisor = Supervisor.of(backend, name)
        if supervisor.state() == "FATAL":
            return Seen(ready=False, words=supervisor.explanation(), ended=True)
    return seen


def _deployment(region: str, deployment: str) -> Seen:
    # Railway asks the health path itself, and the deployment is a success when that has answered.
    from providers.railway.deployment import FAILED, SERVING, status_of

    status = status_of(region, deployment)
    ended = status is None or status in FAILED
    return Seen(ready=status in SERVING, words=f"its deployment is {status or 'gone'}", ended=ended)


def _container(region: str, name: str, url: str) -> Seen:
    # The engine asks it from within: its port may be out of our reach, as it is for the gateway alone.
    from providers.plugin.errors import ProviderError
    from providers.published_port import engine_of

    try:
        with engine_of(region, name) as (_, client):
            doing = f"look for container {name!r}"
            found = client.retrying(lambda: client.find(doing, lambda api: dict(api.inspect_container(name))))
    except ProviderError as error:
        if not error.retry:
            raise
        return Seen(ready=False, words=str(error), error=error)
    if found is None:
        return Seen(ready=False, words="it is gone", ended=True)
    state = found["State"]
    if state["Status"] != "running":
        code = f"it is {state['Status']}, its last exit code is {state['ExitCode']}: see `docker logs {name}`"
        return Seen(ready=False, words=code, ended=int(found.get("RestartCount") or 0) >= _RESTARTS)
    health = (state.get("Health") or {}).get("Status")
    return Seen(ready=health == "healthy", words=f"its health check says {health}") if health else probe(url)
