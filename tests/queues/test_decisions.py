"""What the queues decide without a broker: which one, what a message names, when to try again."""

import asyncio
import uuid

import aio_pika.exceptions
import pytest
from aiormq.exceptions import ChannelAccessRefused
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic

from automation.errors import InputError
from automation.queues import rabbitmq_broker as broker
from automation.queues import slots
from automation.queues.choose import choose
from automation.queues.memory import MemoryQueue
from automation.queues.procrastinate import ProcrastinateQueue
from automation.queues.rabbitmq import RabbitQueue
from automation.queues.seam import QueueError
from automation.queues.settings import DEFAULT_NAME, QueueKind, QueueSettings
from automation.settings import load_settings


def settings(**environment: str) -> QueueSettings:
    return QueueSettings.from_env(environment)


def test_postgresql_where_no_broker_is_named() -> None:
    found = settings()
    assert (found.kind, found.name, found.url, found.secrets) == (QueueKind.PROCRASTINATE, DEFAULT_NAME, "", ())
    assert DEFAULT_NAME == "erpmax.provisioning"


@pytest.mark.parametrize(
    ("environment", "url", "address"),
    [
        ({"RABBITMQ_URL": "amqp://u:p@h:1234/v"}, "amqp://u:p@h:1234/v", "h:1234"),
        ({"RABBITMQ_URL": "amqps://u:p@h/"}, "amqps://u:p@h/", "h:5671"),
        ({"RABBITMQ_HOST": "mq"}, "amqp://guest:guest@mq:5672/", "mq:5672"),
        (
            {"RABBITMQ_HOST": "mq", "RABBITMQ_PORT": "1", "RABBITMQ_USER": "a@b", "RABBITMQ_PASSWORD": "p/w:d"},
            "amqp://a%40b:p%2Fw%3Ad@mq:1/",
            "mq:1",
        ),
        ({"RABBITMQ_HOST": "::1"}, "amqp://guest:guest@[::1]:5672/", "::1:5672"),
        ({"RABBITMQ_URL": "amqp://u:p@h", "RABBITMQ_HOST": "other"}, "amqp://u:p@h", "h:5672"),
    ],
)
def test_rabbitmq_where_it_is_named(environment: dict[str, str], url: str, address: str) -> None:
    found = settings(**environment)
    assert (found.kind, found.url, found.address) == (QueueKind.RABBITMQ, url, address)
    assert url not in repr(found)


def test_the_password_is_a_secret_as_written_and_as_meant() -> None:
    found = settings(RABBITMQ_URL="amqp://u:p%2Fw@h/")
    assert set(found.secrets) == {"p%2Fw", "p/w"}


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"RABBITMQ_URL": "http://u:hidden@h/"}, "RABBITMQ_URL"),
        ({"RABBITMQ_URL": "amqp://u:hidden@h:99999/"}, "RABBITMQ_URL"),
        ({"RABBITMQ_URL": "amqp:///"}, "RABBITMQ_URL"),
        ({"RABBITMQ_HOST": "a b"}, "RABBITMQ_HOST"),
        ({"RABBITMQ_HOST": "mq", "RABBITMQ_PORT": "0"}, "RABBITMQ_PORT"),
        ({"RABBITMQ_HOST": "mq", "RABBITMQ_PORT": "5672x"}, "RABBITMQ_PORT"),
        ({"RABBITMQ_HOST": "mq", "RABBITMQ_PORT": "9" * 50}, "RABBITMQ_PORT"),
        ({"PROVISIONING_QUEUE_NAME": "x" * 41}, "PROVISIONING_QUEUE_NAME"),
        ({"PROVISIONING_QUEUE_NAME": "amq.mine"}, "PROVISIONING_QUEUE_NAME"),
        ({"PROVISIONING_QUEUE_NAME": "a b"}, "PROVISIONING_QUEUE_NAME"),
        ({"TENANTRY_QUEUE": "redis"}, "TENANTRY_QUEUE"),
        ({"TENANTRY_QUEUE": "rabbitmq"}, "TENANTRY_QUEUE"),
    ],
)
def test_a_wrong_variable_is_named_and_no_password_shown(environment: dict[str, str], named: str) -> None:
    with pytest.raises(InputError, match=named) as caught:
        settings(**environment)
    assert caught.value.hint
    assert "hidden" not in str(caught.value.to_dict())


def test_the_queue_can_be_said_outright() -> None:
    found = settings(TENANTRY_QUEUE="procrastinate", RABBITMQ_URL="amqp://u:p@h/")
    assert (found.kind, found.url) == (QueueKind.PROCRASTINATE, "")


def test_choosing_does_not_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(choose(load_settings()), ProcrastinateQueue)
    monkeypatch.setenv("RABBITMQ_HOST", "nowhere.invalid")
    chosen = choose(load_settings())
    assert isinstance(chosen, RabbitQueue)
    assert chosen.name == "rabbitmq nowhere.invalid:5672/erpmax.provisioning"
    assert "guest" in load_settings().queue.secrets


@given(st.uuids())
def test_a_message_of_the_contract_names_its_job(job: uuid.UUID) -> None:
    assert slots.parse(f'{{"job_id": "{job}"}}'.encode()) == job
    assert slots.parse(f'{{"job_id": "{str(job).upper()}", "more": 1}}'.encode()) == job


@given(st.binary(max_size=200))
def test_no_bytes_are_too_strange(body: bytes) -> None:
    assert isinstance(slots.parse(body), str)
    assert len(slots.shown(body)) <= 503


@pytest.mark.parametrize("text", ["{%s}", "urn:uuid:%s", "%s "])
def test_other_spellings_of_a_uuid_are_refused(text: str) -> None:
    assert slots.job_of({"job_id": text % uuid.uuid4()}) == "job_id is not a UUID"
    assert slots.job_of({"job_id": uuid.uuid4().hex}) == "job_id is not a UUID"


def test_when_a_message_comes_again() -> None:
    assert [slots.again_after(count) for count in range(1, 7)] == [1, 2, 4, 8, None, None]
    assert [slots.reconnect_after(count) for count in (1, 5, 500)] == [0.2, 5, 5]


def test_a_reason_is_cut_short() -> None:
    assert slots.why(ValueError("a\n b")) == "its handler failed 5 times: ValueError: a b"
    assert len(slots.why(ValueError("x" * 5000))) == 300


def test_every_queue_is_a_quorum_queue_and_leads_on_safely() -> None:
    made = broker.arguments("q")
    assert list(made) == ["q.parked", "q", "q.again"]  # whoever refers to another is made after it
    assert {each["x-queue-type"] for each in made.values()} == {"quorum"}
    assert made["q"]["x-dead-letter-routing-key"] == "q.parked"
    assert made["q.again"]["x-dead-letter-routing-key"] == "q"
    assert {made[name]["x-dead-letter-strategy"] for name in ("q", "q.again")} == {"at-least-once"}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TimeoutError(), "cannot be reached: no answer within 5 seconds"),
        (ConnectionRefusedError("refused, s3cret"), "cannot be reached: refused, [secret]"),
        (aio_pika.exceptions.ProbableAuthenticationError("s3cret"), "refuses the user 'u'"),
        (ChannelAccessRefused("no access to queue 'q'"), "refuses: "),
        (aio_pika.exceptions.DeliveryError(None, Basic.Nack()), "did not take the message for 'q'"),
        (ConnectionError(), "cannot be reached: ConnectionError"),
    ],
)
def test_how_a_brokers_error_reads(error: Exception, message: str) -> None:
    told = broker.explain(QueueSettings(kind=QueueKind.RABBITMQ, name="q", url="amqp://u:s3cret@h/"), error)
    assert f"RabbitMQ at h:5672 {message}" in told.message
    assert told.hint
    assert "s3cret" not in str(told.to_dict())
    assert broker.explain(QueueSettings(kind=QueueKind.RABBITMQ, name="q", url="amqp://h/"), told) is told


async def test_slots_are_given_back_when_stopping_comes_first() -> None:
    places, stop = slots.Slots(1), asyncio.Event()
    assert await places.reserve(stop)
    waiting = asyncio.create_task(places.reserve(stop))
    await asyncio.sleep(0)
    stop.set()
    assert not await waiting
    places.give_back()
    stop.clear()
    assert await asyncio.wait_for(places.reserve(stop), 1)


async def test_a_task_that_swallows_its_cancellation_is_cancelled_again() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                swallowed += 1

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await asyncio.wait_for(slots.end_all([task]), 10)
    assert task.done()
    assert swallowed == 2


async def test_a_closed_queue_takes_nothing() -> None:
    queue = MemoryQueue()
    await queue.close()
    with pytest.raises(QueueError, match="closed"):
        await queue.publish(uuid.uuid4())
