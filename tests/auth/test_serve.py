"""`tenantry serve` and `tenantry token` as processes: they come up, say what is wrong, and end as they should."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.auth.helpers import KEY, bearer, token
from tests.auth.serving import SECONDS, served
from tests.auth.test_deps import make_job, make_tenant
from tests.certificates import self_signed
from tests.conftest import MainDatabase
from tests.service.helpers import manifest

pytestmark = pytest.mark.usefixtures("main_db")
ADMIN = bearer(token("root", roles=["admin"]))


def tenantry(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "automation", *words],
        env={**os.environ, "TENANTRY_JWT_SECRET": KEY, "PULUMI_CONFIG_PASSPHRASE": "a passphrase", **more},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    return self_signed("127.0.0.1").files(tmp_path)


def test_it_serves_and_a_signal_is_a_good_end() -> None:
    with served() as (service, url):
        answer = httpx.get(f"{url}/api/v1/tenants", headers=ADMIN, timeout=SECONDS)
        assert answer.status_code == 200, answer.text
        assert "server" not in answer.headers
        assert httpx.get(f"{url}/api/v1/tenants", timeout=SECONDS).status_code == 401
        assert service.stop(signal.SIGINT) == 0
        lines = [json.loads(line) for line in service.log]
        requests = [line for line in lines if line["event"] == "request"]
        assert [line["subject"] for line in requests] == ["root", None]
        assert KEY not in "\n".join(service.log)


def test_a_live_channel_ends_when_the_service_does(main_db: MainDatabase) -> None:
    with served(TENANTRY_SHUTDOWN_SECONDS="30") as (service, url):
        httpx.get(f"{url}/api/v1/tenants", headers=ADMIN, timeout=SECONDS)
        make_tenant(main_db, "acme")
        job = make_job(main_db, "acme")
        with (
            httpx.Client(timeout=SECONDS) as client,
            client.stream("GET", f"{url}/api/v1/jobs/{job}/events", headers=ADMIN) as stream,
        ):
            assert stream.status_code == 200
            with main_db.connect() as connection:
                connection.execute("SELECT tenantry_event(%s, 'progress', '{\"progress\": 5}')", (job,))
            chunks = stream.iter_text()
            first = next(chunks)
            began = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            rest = "".join(chunks)
        assert service.stop() == 0
        assert time.monotonic() - began < 20
        assert "progress" in first + rest
        assert "Cancel" not in "\n".join(service.log)


def test_several_processes_serve_one_port_and_end_together(main_db: MainDatabase) -> None:
    with served("--processes", "2", TENANTRY_PROVISIONINGS_PER_HOUR="7") as (service, url):
        for _ in range(5):
            assert httpx.get(f"{url}/api/v1/tenants", headers=ADMIN, timeout=SECONDS).status_code == 200
        assert service.stop() == 0
    assert sum("Application shutdown complete" in line for line in service.log) == 2


def test_two_services_share_the_provisionings_of_a_caller() -> None:
    limits = {"TENANTRY_PROVISIONINGS_PER_HOUR": "3"}
    with served(**limits) as (_one, first), served(**limits) as (_other, second), ThreadPoolExecutor(8) as at_once:

        def create(number: int, subject: str = "carla") -> httpx.Response:
            return httpx.post(
                f"{(first, second)[number % 2]}/api/v1/tenants",
                json=manifest(f"cabinet-{number}"),
                headers=bearer(token(subject, roles=["creator"])),
                timeout=SECONDS,
            )

        answers = list(at_once.map(create, range(8)))
        assert sorted(answer.status_code for answer in answers) == [202] * 3 + [429] * 5
        for answer in answers:
            if answer.status_code == 429:
                assert 3500 < int(answer.headers["Retry-After"]) <= 3600
                assert answer.headers["RateLimit-Policy"] == "3;w=3600"
                assert answer.json()["type"] == "urn:tenantry:problem:rate_limited"
        # Another caller has its own.
        assert [create(number, "other").status_code for number in range(20, 23)] == [202] * 3
        made = httpx.get(f"{first}/api/v1/tenants", headers=ADMIN, timeout=SECONDS).json()
        assert made["total"] == 6


def test_metrics_tell_the_requests_of_all_processes_whichever_answers(main_db: MainDatabase) -> None:
    with served("--processes", "3") as (service, url):
        service.wait_for("Application startup complete", times=2)
        for _ in range(30):
            assert httpx.get(f"{url}/healthz", timeout=SECONDS).status_code == 200
        for _ in range(5):
            said = httpx.get(f"{url}/metrics", timeout=SECONDS).text
            assert 'tenantry_http_requests_total{method="GET",route="/healthz",status="200"} 30.0' in said
            assert 'tenantry_http_requests_in_progress{kind="http"} 1.0' in said
            assert "tenantry_database_up 1.0" in said
            pids = set(re.findall(r'process_resident_memory_bytes{pid="(\d+)"}', said))
            assert len(pids) == 4, "the three, and the one that keeps them"
            assert str(service.process.pid) in pids
        assert service.stop() == 0


def test_tls_with_hsts_and_nothing_older_than_1_2(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    with served("--tls-cert", str(cert), "--tls-key", str(key)) as (_service, url):
        assert url.startswith("https://")
        answer = httpx.get(
            f"{url}/api/v1/tenants", headers=ADMIN, timeout=SECONDS, verify=ssl.create_default_context(cafile=str(cert))
        )
        assert answer.status_code == 200
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
        port = int(url.rsplit(":", 1)[1])
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as raw,
            pytest.raises((ssl.SSLError, OSError)),
        ):
            old.wrap_socket(raw)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = tenantry("serve", "--port", str(port))
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in done.stderr


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"TENANTRY_JWT_SECRET": ""}, "TENANTRY_JWT_SECRET"),
        ({"TENANTRY_JWT_SECRET": "", "TENANTRY_PROCESSES": "2"}, "TENANTRY_JWT_SECRET"),
        ({"TENANTRY_TRUSTED_PROXIES": "*"}, "TENANTRY_TRUSTED_PROXIES"),
        ({"TENANTRY_TLS_CERT": "/nowhere.pem"}, "belong together"),
        ({"TENANTRY_TLS_CERT": "/nowhere.pem", "TENANTRY_TLS_KEY": "/nowhere.pem"}, "No such file"),
        ({"TENANTRY_PORT": "70000"}, "TENANTRY_PORT"),
    ],
)
def test_wrong_settings_are_said_once_and_nothing_is_served(more: dict[str, str], words: str) -> None:
    done = tenantry("serve", "--port", "0", **more) if "TENANTRY_PORT" not in more else tenantry("serve", **more)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_that_is_made_here_is_good_there(main_db: MainDatabase) -> None:
    subject = f"ada-{uuid.uuid4().hex[:6]}"
    made = tenantry("token", subject, "--tenant", "acme=member", "--hours", "0.5")
    assert made.returncode == 0, made.stderr
    text = made.stdout.strip()
    with served() as (_service, url):
        answer = httpx.get(f"{url}/api/v1/tenants", headers=bearer(text), timeout=SECONDS)
        assert answer.status_code == 200
        assert answer.json()["items"] == []
        assert httpx.get(f"{url}/api/v1/tenants/other", headers=bearer(text), timeout=SECONDS).status_code == 404
    document = json.loads(tenantry("token", "root", "--role", "admin", "--json").stdout)
    assert document["seconds"] == 3600
    for wrong in (("--role", "king"), ("--tenant", "acme"), ("--tenant", "acme=king"), ("--hours", "0")):
        refused = tenantry("token", "ada", *wrong)
        assert refused.returncode == 2
        assert refused.stdout == ""
