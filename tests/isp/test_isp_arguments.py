"""What an ISP is made from: its secrets are there before anything is, its objects may take what their steps may."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization

from stacks.isp.arguments import isp_args
from stacks.isp.line import resolve
from stacks.isp.manifest import ISP_SHAPE
from stacks.lines import ISP
from stacks.shape import parse
from stacks.templates import TemplateStore
from tests.certificates import Certificate, self_signed

CERT, KEY = "TENANTRY_BACKEND_ACME_CERTIFICATE", "TENANTRY_BACKEND_ACME_KEY"
PASSWORD = "TENANTRY_BACKEND_DB"
OWN = {"tls": "own", "certificateFrom": CERT, "keyFrom": KEY}


@pytest.fixture(autouse=True)
def _region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = {"host": "db.example", "user": "p", "passwordFrom": PASSWORD, "name": "postgres"}
    container = {"platform": "kubernetes", "ingress": {"domain": "isp.example", "issuer": "tests"}}
    file = tmp_path / "backends.yaml"
    file.write_text(yaml.safe_dump({"regions": {"here": {"database": database, "container": container}}}))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))
    monkeypatch.setenv(PASSWORD, "x")


def acme(**settings: Any) -> Any:
    manifest = {"kind": "isp", "slug": "acme", "name": "Acme", "region": "here", "customerCount": 500}
    given = parse(ISP_SHAPE, {**manifest, "planType": "premium", "customSettings": settings})
    return resolve(given, TemplateStore([ISP_SHAPE.folder], ISP_SHAPE))


def sealed(made: Certificate) -> str:
    """Its key, with a passphrase."""
    key = serialization.load_pem_private_key(made.key.encode(), password=None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    ).decode()


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it() -> None:
    made = self_signed("acme.isp.example")
    script = "import sys; from stacks.isp.arguments import _demand_pair; _demand_pair(*sys.argv[1:])"
    # Without a terminal, OpenSSL asks whoever is at standard input.
    asking, answering = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", script, CERT, KEY],
        env={**os.environ, CERT: made.cert, KEY: sealed(made)},
        stdin=asking,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=30,
        check=False,
    )
    os.close(asking)
    os.close(answering)
    assert f"{CERT} and {KEY} are no certificate (PEM, with its chain) and its key, without a passphrase" in done.stderr
    assert "PEM pass phrase" not in done.stdout + done.stderr


def test_a_certificate_and_its_key_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    made = self_signed("acme.isp.example")
    monkeypatch.setenv(CERT, made.cert)
    monkeypatch.setenv(KEY, made.key)
    assert isp_args(acme(ingress=OWN), "tenantry/acme").entrance.key_from == KEY


def test_a_step_that_may_take_longer_gives_its_objects_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    args = isp_args(acme(), "tenantry/acme")
    assert (args.laid_seconds, args.ready_seconds, args.health_seconds) == (51, 76.5, 38.25)
    monkeypatch.setenv("TENANTRY_STEPS", '{"infrastructure": {"timeout": 400}}')
    assert isp_args(acme(), "tenantry/acme").laid_seconds == 340


@pytest.mark.parametrize(
    ("replicas", "connections", "told", "granted"), [(1, 100, 100, 102), (3, 100, 33, 134), (4, 2, 1, 7), (2, 1, 1, 5)]
)
def test_an_application_may_hold_all_its_connections_and_still_be_asked_and_changed(
    replicas: int, connections: int, told: int, granted: int
) -> None:
    settings = {"replicas": replicas, "resources": {"maxConnections": connections}}
    args = isp_args(acme(**settings), "tenantry/acme")
    assert (args.pod_connections, args.granted_connections) == (told, granted)


def test_each_replica_has_the_whole_memory_and_is_paid_for_it() -> None:
    one, three = ISP.sizing(acme()), ISP.sizing(acme(replicas=3))
    assert one is not None
    assert three is not None
    assert (three.cpu, three.storage_mb, three.connections) == (one.cpu, one.storage_mb, one.connections)
    assert three.memory_mb == 3 * one.memory_mb == 3 * 512
