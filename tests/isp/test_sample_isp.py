"""The sample application as an ISP's: its customers, its features, and what it does when its database has no room."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http import HTTPStatus

import httpx
import pytest

from sandbox.sample_app.isp import DAYS, FEATURES, Isp, IspError, Session
from sandbox.sample_app.server import Application
from tests.conftest import MainDatabase

EVERY = {"ISP_CUSTOMERS": "60", "ISP_FEATURES": ",".join(FEATURES)}


@pytest.fixture
def application(main_db: MainDatabase) -> Iterator[Application]:
    made = Application({"PORT": "0", "DATABASE_URL": main_db.url, **EVERY})
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        thread.join()
        made.server_close()
        assert made.isp is not None
        made.isp.close()


@pytest.fixture
def client(application: Application) -> Iterator[httpx.Client]:
    url = f"http://127.0.0.1:{application.server_address[1]}"
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as made:
        yield made


def test_what_a_customer_uses_is_counted_in_the_account(client: httpx.Client, main_db: MainDatabase) -> None:
    before = client.get("/isp/account/7").json()
    assert len(before["days"]) == DAYS
    assert client.post("/isp/usage/7").status_code == HTTPStatus.OK
    assert client.get("/isp/account/7").json()["used"] > before["used"]
    with main_db.connect() as connection:
        assert connection.execute("SELECT count(*) FROM isp_customers WHERE used > 0").fetchone() == (1,)


@pytest.mark.parametrize(
    ("method", "path", "shown"),
    [
        ("GET", "/isp/portal/3", "Customer 3"),
        ("GET", "/isp/line/3", "spread"),
        ("GET", "/isp/report/3", "common"),
        ("POST", "/isp/invoice/3", "total"),
        ("POST", "/isp/bulk/50", "changed"),
    ],
)
def test_each_feature_does_something_for_a_customer(client: httpx.Client, method: str, path: str, shown: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == HTTPStatus.OK
    assert shown in answer.text


def test_a_bulk_change_is_of_a_block_of_customers(client: httpx.Client, main_db: MainDatabase) -> None:
    client.post("/isp/bulk/50")
    with main_db.connect() as connection:
        rows = connection.execute("SELECT id FROM isp_customers WHERE tariff = 2 ORDER BY id").fetchall()
    assert [row[0] for row in rows] == [*range(10), *range(50, 60)]


@pytest.mark.parametrize("path", ["/isp/account/60", "/isp/account/-1", "/isp/account/x", "/isp/nothing/1", "/isp/"])
def test_what_there_is_not_is_not_found(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == HTTPStatus.NOT_FOUND


def test_a_body_that_is_too_long_ends_the_connection(client: httpx.Client) -> None:
    answer = client.post("/isp/usage/1", content=b"x" * 70_000)
    assert (answer.status_code, answer.headers.get("content-type")) == (400, "text/plain; charset=utf-8")
    assert answer.headers.get("connection") == "close"
    assert client.post("/isp/usage/1", content=b"x" * 100).status_code == HTTPStatus.OK


def test_a_feature_that_it_has_not_is_not_found_and_a_second_start_makes_no_second_customers(
    main_db: MainDatabase,
) -> None:
    for customers in (50, 80):
        isp = Isp({"ISP_CUSTOMERS": str(customers), "DATABASE_URL": main_db.url})
        try:
            assert isp.answer(Session(isp), "GET", "/isp/portal/1") is None
        finally:
            isp.close()
    with main_db.connect() as connection:
        assert connection.execute("SELECT count(*) FROM isp_customers").fetchone() == (80,)
        assert connection.execute("SELECT count(*) FROM isp_usage").fetchone() == (80 * DAYS,)


def test_a_visitor_for_whom_there_is_no_connection_is_told_and_the_next_one_gets_it(
    main_db: MainDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.sample_app.isp.WAIT_SECONDS", 0.2)
    isp = Isp({"ISP_CUSTOMERS": "50", "ISP_CONNECTIONS": "2", "DATABASE_URL": main_db.url})
    try:
        # Its own work has the other one.
        first, second = Session(isp), Session(isp)
        while isp.slots._value == 2:
            time.sleep(0.02)
        assert (isp.answer(first, "GET", "/isp/account/1") or [0])[0] == HTTPStatus.OK
        assert (isp.answer(second, "GET", "/isp/account/1") or [0])[0] == HTTPStatus.SERVICE_UNAVAILABLE
        first.close()
        assert (isp.answer(second, "GET", "/isp/account/1") or [0])[0] == HTTPStatus.OK
        second.close()
    finally:
        isp.close()


def test_a_connection_that_broke_is_replaced(main_db: MainDatabase) -> None:
    isp = Isp({"ISP_CUSTOMERS": "50", "DATABASE_URL": main_db.url})
    session = Session(isp)
    try:
        isp.answer(session, "GET", "/isp/account/1")
        with main_db.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert (isp.answer(session, "GET", "/isp/account/1") or [0])[0] == HTTPStatus.SERVICE_UNAVAILABLE
        assert (isp.answer(session, "GET", "/isp/account/1") or [0])[0] == HTTPStatus.OK
    finally:
        session.close()
        isp.close()


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"ISP_CUSTOMERS": "0"}, "ISP_CUSTOMERS is '0'"),
        ({"ISP_CUSTOMERS": "many"}, "ISP_CUSTOMERS is 'many'"),
        ({"ISP_CUSTOMERS": "50", "ISP_FEATURES": "billing, tv"}, "ISP_FEATURES has tv"),
        ({"ISP_CUSTOMERS": "50", "DATABASE_URL": "postgresql://x:s3cret@127.0.0.1:1/x"}, "DATABASE_URL names"),
        ({"ISP_CUSTOMERS": "50", "DATABASE_URL": "s3cret"}, "DATABASE_URL names"),
    ],
)
def test_it_says_what_is_wrong_and_no_secret(env: dict[str, str], said: str) -> None:
    with pytest.raises(IspError) as caught:
        Isp(env)
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value)
