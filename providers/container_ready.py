"""Waits until a tenant's container serves: its health path answers as it should, within a limit.

Decides what is ready (an answer of 2xx), and that one that died is not waited for. It makes and deletes nothing; where
it is read, it says whether the container serves at this moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.backends import ContainerBackend, ProcessBackend, backends_of
from providers.errors import NotReadyError
from providers.props import diff_of, required

READY_SECONDS = 45.0
CALL_SECONDS = 5.0
_POLL_SECONDS = 0.1
_SLOWER = 1.0


class ContainerReadyProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, ("region", "name"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=(), owned=("region", "name", "url", "revision", "ready"))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["name"]), _waited(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_, {**props, "ready": probe(str(props["url"])) is None})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_waited(_news))


class ContainerReady(Resource, module="tenantry", name="ContainerReady"):
    """`url` is what is asked; a new `revision` of the container is waited for again."""

    ready: pulumi.Output[bool]

    def __init__(
        self,
        name: str,
        *,
        container: str,
        region: str,
        url: pulumi.Input[str],
        revision: pulumi.Input[Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"region": region, "name": container, "url": url, "revision": revision, "ready": True}
        super().__init__(ContainerReadyProvider(), name, props, opts)


def probe(url: str) -> str | None:
    """None where `url` answers 2xx, else what it does instead."""
    import httpx

    try:
        answer = httpx.get(url, timeout=CALL_SECONDS, follow_redirects=False, trust_env=False)
    except httpx.HTTPError as error:
        return f"does not answer ({str(error) or type(error).__name__})"
    return None if answer.is_success else f"answers {answer.status_code}"


def wait_until_ready(
    what: str, url: str, ended: Callable[[], str | None], *, seconds: float | None = None, clock: Any = time
) -> None:
    """Until `url` answers 2xx. `ended` says why the container will never serve, None while it may.

    Raises NotReadyError saying what was last seen.
    """
    limit = READY_SECONDS if seconds is None else seconds
    begun = clock.monotonic()
    while (seen := probe(url)) is not None:
        why = ended()
        if why is not None:
            raise NotReadyError(f"{what}: it does not run: {why}.")
        passed = clock.monotonic() - begun
        if passed > limit:
            raise NotReadyError(f"{what}: {url} {seen} after {limit:g} s. See what the container writes, then retry.")
        clock.sleep(_POLL_SECONDS if passed < limit / 4 else _SLOWER)


def _waited(props: dict[str, Any]) -> dict[str, Any]:
    name, backend = str(props["name"]), backends_of(str(props["region"])).container
    wait_until_ready(f"container {name!r}", str(props["url"]), _end_of(backend, name))
    return {**props, "ready": True}


def _end_of(backend: ContainerBackend, name: str) -> Callable[[], str | None]:
    """Asks the platform why the container does not run, if it does not and nothing will start it."""
    if isinstance(backend, ProcessBackend):
        from providers.supervisor.rpc import Supervisor

        supervisor = Supervisor.of(backend, name)
        return lambda: supervisor.explanation() if supervisor.state() == "FATAL" else None
    return lambda: None
