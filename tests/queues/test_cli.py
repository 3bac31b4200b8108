"""`tenantry queue`: what it prints of a real queue, and that it never shows the broker's password."""

import asyncio
import json
import uuid
from collections.abc import Iterator

import pytest

from automation.cli import main
from automation.queues.choose import choose
from automation.queues.procrastinate import ProcrastinateQueue
from automation.queues.rabbitmq import RabbitQueue
from automation.settings import load_settings
from tests.queues.helpers import consuming, delete_queues, rabbitmq_url, until

BAD = '{"job_id": "seven"}'


def tenantry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    monkeypatch.setattr("sys.argv", ["tenantry", *words])
    code = main()
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture(params=["procrastinate", "rabbitmq"])
def named(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A queue of each kind, that the environment names."""
    name = f"test.{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("PROVISIONING_QUEUE_NAME", name)
    if request.param == "procrastinate":
        request.getfixturevalue("main_db")
        yield name
        return
    monkeypatch.setenv("RABBITMQ_URL", rabbitmq_url())
    yield name
    asyncio.run(_delete())


async def _delete() -> None:
    queue = choose(load_settings())
    assert isinstance(queue, RabbitQueue)
    await delete_queues(queue)


async def _two_waiting_one_parked() -> None:
    queue = choose(load_settings())
    await queue.open()

    async def handler(job: uuid.UUID) -> None:
        raise AssertionError(job)

    if isinstance(queue, RabbitQueue):
        await queue.publish_raw(BAD.encode())
    else:
        assert isinstance(queue, ProcrastinateQueue)
        async with queue.call() as manager:
            await manager.connector.execute_query_async(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args) "
                "VALUES (%(name)s, 'tenantry.job', %(args)s)",
                name=load_settings().queue.name,
                args=json.loads(BAD),
            )
    async with consuming(queue, handler):
        await until(queue.parked)
    await queue.publish(uuid.uuid4())
    await queue.publish(uuid.uuid4())
    await queue.close()


def test_depth_and_parked(named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = tenantry(monkeypatch, capsys, "queue", "parked")
    assert (code, err) == (0, "")
    assert out.startswith("nothing is parked: ")
    asyncio.run(_two_waiting_one_parked())
    capsys.readouterr()

    code, out, err = tenantry(monkeypatch, capsys, "queue", "depth", "--json")
    assert (code, err) == (0, "")
    depth = json.loads(out)
    assert (depth["waiting"], depth["parked"]) == (2, 1)
    assert named in depth["queue"]

    code, out, err = tenantry(monkeypatch, capsys, "queue", "depth")
    assert "waiting: 2" in out
    assert "parked:  1; `tenantry queue parked` shows them" in out

    code, out, err = tenantry(monkeypatch, capsys, "queue", "parked", "--json")
    [message] = json.loads(out)["messages"]
    assert (message["reason"], message["body"]) == ("job_id is not a UUID", BAD)

    code, out, err = tenantry(monkeypatch, capsys, "queue", "parked")
    assert "job_id is not a UUID" in out


def test_a_broker_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RABBITMQ_URL", "amqp://someone:not-to-be-shown@127.0.0.1:1/")
    code, out, err = tenantry(monkeypatch, capsys, "queue", "depth", "--json")
    assert code == 6
    assert json.loads(out)["error"]["kind"] == "queue"
    code, out, err = tenantry(monkeypatch, capsys, "queue", "depth")
    assert code == 6
    assert "RabbitMQ at 127.0.0.1:1 cannot be reached" in err
    assert "not-to-be-shown" not in out + err


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RABBITMQ_URL", "http://someone:not-to-be-shown@somewhere/")
    code, out, err = tenantry(monkeypatch, capsys, "queue", "depth")
    assert code == 2
    assert "RABBITMQ_URL cannot be read" in err
    assert "not-to-be-shown" not in out + err
