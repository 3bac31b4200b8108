"""An engine that has done what it was asked, and says so too late or never: what it made is kept track of."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, TypeVar

import pytest

from providers.docker import client as clients
from providers.docker import container as containers
from providers.docker.client import Client
from providers.docker.config import Config
from providers.docker.registry import PACKAGE
from providers.plugin import operations
from providers.plugin.errors import UnreachableError
from providers.plugin.operations import PartialError
from providers.plugin.properties import Naming
from providers.plugin.resource import Call
from providers.plugin.wire import Bag
from tests.docker.fake_engine import cutting_door

SECONDS = 3.0
T = TypeVar("T")


class Impatient(Client):
    """One that waits for no answer longer than SECONDS."""

    def call(self, doing: str, action: Callable[[Any], T], **more: Any) -> T:
        return super().call(doing, action, **{**more, "seconds": SECONDS})


class Made:
    """A way to make one object of the plugin's, and to look for it on the engine."""

    def __init__(self, engine: Any, unique: str, kind: str, inputs: dict[str, Any]) -> None:
        self.kind = PACKAGE.types[f"docker:index/{kind.lower()}:{kind}"]
        self.there = engine.networks if kind == "Network" else engine.containers
        naming = Naming(logical_name="x", seed=b"seed")
        given = Bag(values={"name": unique, **inputs})
        self.inputs = operations.check_inputs(self.kind, given, Bag(values={}), naming).inputs
        self.urn = f"urn:pulumi:dev::tests::{self.kind.token}::{unique}"

    def call(self, host: str, object_id: str = "") -> Call[Client]:
        return Call(client=Impatient(config=Config(host=host)), urn=self.urn, object_id=object_id)

    def create(self, host: str) -> tuple[str, Bag]:
        call = self.call(host)
        with closing(call.client):
            return operations.create(self.kind, call, self.inputs)

    def delete(self, host: str, object_id: str, state: Bag) -> None:
        call = self.call(host, object_id)
        with closing(call.client):
            operations.delete(self.kind, call, state)


@pytest.fixture
def network(engine: Any, unique: str) -> Iterator[str]:
    made = engine.networks.create(f"{unique}-n")
    yield made.name
    made.remove()


@pytest.fixture
def container(engine: Any, image: str, unique: str, network: str) -> Iterator[Made]:
    uploads = [{"file": "/x", "content": "y"}]
    inputs = {"image": image, "networksAdvanced": [{"name": network}], "uploads": uploads, "envs": ["A=w0rd-of-mine"]}
    yield Made(engine, unique, "Container", inputs)
    for each in engine.containers.list(all=True, filters={"name": unique}):
        each.remove(force=True)


@pytest.mark.parametrize("words", [b"/connect ", b"/archive", b"/start "])
@pytest.mark.parametrize("for_good", [False, True])
def test_a_container_is_kept_track_of(container: Made, host: str, unique: str, words: bytes, for_good: bool) -> None:
    with cutting_door(host, words, silently=True, for_good=for_good) as (door, cut):
        with pytest.raises(PartialError, match="did not answer in time") as caught:
            container.create(door)
        assert cut.is_set()
    found = container.there.get(unique)
    assert caught.value.object_id == found.id
    assert caught.value.outputs.values["name"] == unique
    assert "w0rd-of-mine" not in str(caught.value)
    # By what the run then knows of it, it goes.
    container.delete(host, caught.value.object_id, caught.value.outputs)
    assert unique not in [each.name for each in container.there.list(all=True)]


@pytest.mark.parametrize("words", [b"/connect ", b"/archive", b"/start "])
def test_it_is_kept_track_of_where_the_engine_is_gone(
    container: Made, host: str, unique: str, words: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "RETRY_DELAYS", (0.01, 0.01, 0.01))
    told = pytest.raises(PartialError, match="no Docker engine answers")
    with cutting_door(host, words, for_good=True) as (door, _), told as caught:
        container.create(door)
    assert caught.value.object_id == container.there.get(unique).id


def test_it_is_kept_track_of_where_it_cannot_be_read(container: Made, host: str, unique: str) -> None:
    """All is well with it, and the engine answers no more from then on."""

    class Breaking(Impatient):
        def wait_until(self, seconds: float, look: Callable[[], bool]) -> bool:
            came = super().wait_until(seconds, look)
            self.broken = True
            return came

        def call(self, doing: str, action: Callable[[Any], T], **more: Any) -> T:
            if getattr(self, "broken", False) and "image" in doing:
                late = UnreachableError(f"cannot {doing}: the Docker engine did not answer in time")
                late.retry = False
                raise late
            return super().call(doing, action, **more)

    call = Call(client=Breaking(config=Config(host=host)), urn=container.urn)
    with closing(call.client), pytest.raises(PartialError, match="cannot look for image") as caught:
        operations.create(container.kind, call, container.inputs)
    assert caught.value.object_id == container.there.get(unique).id
    assert container.there.get(unique).status == "running"


def test_what_was_made_and_not_told_is_found(container: Made, host: str, unique: str) -> None:
    with cutting_door(host, b"/containers/create", silently=True) as (door, cut):
        made, outputs = container.create(door)
        assert cut.is_set()
    assert container.there.get(unique).id == made
    assert container.there.get(unique).status == "running"
    container.delete(host, made, outputs)


def test_a_network_that_was_not_told_is_found(engine: Any, host: str, unique: str) -> None:
    network = Made(engine, unique, "Network", {})
    try:
        with cutting_door(host, b"/networks/create", silently=True) as (door, cut):
            made, _ = network.create(door)
            assert cut.is_set()
        assert [each.id for each in engine.networks.list(names=[unique])] == [made]
    finally:
        for each in engine.networks.list(names=[unique]):
            each.remove()


def test_what_was_not_made_is_not_taken_for_another_s(container: Made, engine: Any, host: str, image: str) -> None:
    """By the time that the answer is late, the name is a foreign container's: that one is left alone."""
    call = container.call(host)
    name = container.inputs.values["name"]

    def make() -> str:
        engine.containers.create(image, name=name)
        late = UnreachableError("cannot create it: the Docker engine did not answer in time")
        late.retry = False
        raise late

    with closing(call.client), pytest.raises(UnreachableError, match="cannot create it"):
        call.client.making(make, lambda: containers._late(call, name, "digest"))
