"""A region whose ERPNext is the simulator in this process, and an engine that only makes what is registered."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime import mocks, rpc, settings, stack

from providers import http, metering
from providers.engine_health import Looks
from providers.erpnext import health, lifecycle, own_company
from sandbox.erpnext.api import Site
from sandbox.erpnext.faults import Asked, Fault, Kind
from sandbox.http import Answer, Request, handler_for
from sandbox.store import Store
from tests.erpnext.front import Front

REGION = "here"
MARK = "tenantry/shop"
KEY, SECRET = "key-hunter2", "secret-hunter3"
VARIABLES = ("TENANTRY_BACKEND_TEST_KEY", "TENANTRY_BACKEND_TEST_SECRET")


class Erp:
    """A site, as somebody sees it who is not Tenantry."""

    def __init__(self, *, wizard: bool = True) -> None:
        self.site = Site(Store(), wizard=wizard)
        self.user = "api@shop.invalid"
        self.site.add_user(self.user, {"*": "read write create delete submit cancel"}, key=KEY, secret=SECRET)
        self.front = Front(handler_for(self._handled))
        self.port = self.front.port

    def _handled(self, request: Request) -> Answer | None:
        # Looked up at each request: a test may put something before it.
        return self.site.handle(request)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def alone(self) -> Any:
        """For what is changed past the site's API: nothing is asked meanwhile."""
        stack = contextlib.ExitStack()
        stack.enter_context(self.site._lock)
        stack.enter_context(self.site.records.request())
        return stack

    def stop(self) -> None:
        self.front.away()

    def docs(self, doctype: str, **having: Any) -> list[Mapping[str, Any]]:
        return list(self.site.records.each(doctype, **having))

    def doc(self, doctype: str, name: str) -> Mapping[str, Any]:
        return self.site.documents.get(doctype, name)

    def put(self, doctype: str, **fields: Any) -> Mapping[str, Any]:
        """As somebody who makes it in the browser."""
        with self.alone():
            return self.site.documents.insert(doctype, fields)

    def change(self, doctype: str, name: str, **fields: Any) -> None:
        with self.alone():
            self.site.documents.update(doctype, name, fields)

    def delete(self, doctype: str, name: str) -> None:
        with self.alone():
            self.site.documents.delete(doctype, name)

    def fault(self, kind: Kind, **more: Any) -> None:
        self.site.faults.add(Fault(kind=kind, **more))

    def asked(self, *methods: str, where: str = "") -> list[Asked]:
        return [row for row in self.site.log.rows() if (row.method in methods or not methods) and where in row.path]

    def state(self) -> str:
        """Everything that is there, to be compared."""
        return json.dumps(self.site.records._kept, sort_keys=True)


def name_region(monkeypatch: pytest.MonkeyPatch, folder: Path, url: str, **more: Any) -> None:
    """The region `here`, which has an ERPNext at `url` and nothing else."""
    backend = {"url": url, "keyFrom": VARIABLES[0], "secretFrom": VARIABLES[1], **more}
    file = folder / "backends.yaml"
    file.write_text(yaml.safe_dump({"regions": {REGION: {"erpnext": backend}}}))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))
    for variable, value in zip(VARIABLES, (KEY, SECRET), strict=True):
        monkeypatch.setenv(variable, value)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits as long as a run does, and none sees what another has counted or looked at."""
    monkeypatch.setattr(http, "WAITS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(lifecycle, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(metering, "_meters", {})
    monkeypatch.setattr(health, "_looks", Looks())
    monkeypatch.setattr(own_company, "_seen", {})


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quick: None) -> Iterator[Erp]:
    running = Erp()
    name_region(monkeypatch, tmp_path, running.url)
    yield running
    running.stop()


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quick: None) -> Iterator[Erp]:
    """A site whose set-up wizard nobody has finished."""
    running = Erp(wizard=False)
    name_region(monkeypatch, tmp_path, running.url)
    yield running
    running.stop()


@dataclass(slots=True, kw_only=True)
class Made:
    """One resource in the state."""

    provider: Any
    id: str
    inputs: dict[str, Any]
    outs: dict[str, Any]

    def refresh(self) -> bool:
        """Whether it is still there; what has drifted is in `outs`."""
        read = self.provider.read(self.id, self.outs)
        if not read.id:
            return False
        self.outs = read.outs
        return True

    def up(self) -> bool:
        """Whether a run without another manifest changes it; it is changed."""
        found = self.provider.diff(self.id, self.outs, self.inputs)
        assert not found.replaces, found.replaces
        if found.changes:
            self.outs = self.provider.update(self.id, self.outs, self.inputs).outs
        return bool(found.changes)

    def delete(self) -> None:
        self.provider.delete(self.id, self.outs)


def created(provider: Any, inputs: Mapping[str, Any]) -> Made:
    checked = provider.check({}, dict(inputs))
    assert not checked.failures, [each.reason for each in checked.failures]
    made = provider.create(checked.inputs)
    return Made(provider=provider, id=made.id, inputs=checked.inputs, outs=made.outs)


class NoMocks(pulumi.runtime.Mocks):
    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        assert not args.custom, args.typ
        return "", args.inputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(args.token)


class Engine(mocks.MockMonitor):
    """Makes what is registered, and remembers it by its resource's name, in order."""

    def __init__(self) -> None:
        super().__init__(NoMocks())
        self.made: dict[str, Made] = {}
        self.refreshes = True
        """Whether each is looked at again once it is made."""

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            if not request.custom:
                return super().RegisterResource(request)
            from pulumi.runtime.proto import resource_pb2

            props = {
                name: rpc.unwrap_rpc_secret(value) for name, value in rpc.deserialize_properties(request.object).items()
            }
            provider = pickle.loads(base64.b64decode(props.pop("__provider")))  # noqa: S301 - the SDK has just made it
            made = self.made[request.name] = self.placed(request, provider, props)
            if made.outs.get("ready", True) and self.refreshes:
                assert provider.diff(made.id, made.outs, made.inputs).changes is False, "a second run would change it"
                read = provider.read(made.id, made.outs).outs
                assert read == made.outs, f"a refresh would change {request.name}: {read}, not {made.outs}"
            outputs = loop.run_until_complete(rpc.serialize_properties(made.outs, {}))
            urn = self.make_urn(request.parent, request.type, request.name)
            return resource_pb2.RegisterResourceResponse(urn=urn, id=made.id, object=outputs)
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    def placed(self, _request: Any, provider: Any, props: Mapping[str, Any]) -> Made:
        """What a registration comes to."""
        return created(provider, props)

    def up(self, program: Callable[[], Any]) -> None:
        loop = asyncio.get_event_loop()
        try:
            loop.run_until_complete(stack.run_pulumi_func(program))
        finally:
            # What a run that fails leaves behind would be told, at length, in whichever test comes next.
            rest = asyncio.all_tasks(loop)
            for task in rest:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))

    def destroy(self) -> None:
        while self.made:
            self.made.popitem()[1].delete()


@pytest.fixture
def engine() -> Iterator[Engine]:
    # The SDK keeps an event loop and a monitor per process: each test gets, and gives back, its own.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    monitor = Engine()
    settings.reset_options(project="tenantry", stack="shop")
    mocks.set_mocks(monitor.mocks, project="tenantry", stack="shop", preview=False, monitor=monitor)
    yield monitor
    settings.reset_options(project="", stack="")
    loop.close()
    asyncio.set_event_loop(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Inputs of a Document, which a test varies."""

    doctype: str
    whose: str
    key: Mapping[str, Any]
    more: Mapping[str, Any] = field(default_factory=dict)

    def inputs(self, **more: Any) -> dict[str, Any]:
        base = {
            "region": REGION,
            "tenant_mark": MARK,
            "doctype": self.doctype,
            "whose": self.whose,
            "key": dict(self.key),
        }
        return {**base, "ready": True, **self.more, **more}
