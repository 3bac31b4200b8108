"""A Kubernetes cluster with an entrance, for what is measured on one.

The control plane is real (`.ci/kubernetes`), its nodes are simulated: pods are ready at once and run nothing. So the
entrance, an embedded Caddy, answers itself for all hosts, as a well application would.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from benchmarks.environment import ROOT
from benchmarks.process import CommandFailedError
from sandbox import caddy
from sandbox.caddy import EmbeddedCaddy
from sandbox.postgres import EmbeddedPostgres

REGION = "bench"
VARIABLE = "TENANTRY_TEST_KUBECONFIG"
_PASSWORD = "TENANTRY_BACKEND_BENCH_DB"  # noqa: S105 - a variable's name
_DATABASE = "postgres"
_INSIDE = "postgres.bench.example:5432"
_START_SECONDS = 200.0


@contextmanager
def cluster(folder: Path) -> Iterator[Path]:
    """The kubeconfig of the one that VARIABLE names, or of one started here. Raises CommandFailedError."""
    given = os.environ.get(VARIABLE)
    if given:
        yield Path(given)
        return
    script = str(ROOT / ".ci" / "kubernetes")
    try:
        _run([script, "start", str(folder)])
        yield folder / "kubeconfig"
    finally:
        _run([script, "stop", str(folder)])


def _run(words: list[str]) -> None:
    try:
        subprocess.run(words, check=True, timeout=_START_SECONDS, capture_output=True, text=True)
    except FileNotFoundError:
        raise CommandFailedError(f"{words[0]} is not there: benchmarks run in a checkout") from None
    except subprocess.TimeoutExpired:
        raise CommandFailedError(f"`{' '.join(words[:2])}` took longer than {_START_SECONDS:g} s") from None
    except subprocess.CalledProcessError as error:
        hint = "`.ci/kubernetes install` builds the API server"
        raise CommandFailedError(f"`{' '.join(words[:2])}` failed: {error.stderr.strip()[-500:]}; {hint}") from None


@contextmanager
def entrance(folder: Path) -> Iterator[EmbeddedCaddy]:
    """What answers for the ISPs' hosts."""
    running = caddy.start(folder)
    try:
        said = {"handler": "static_response", "status_code": 200, "body": '{"status": "ok"}'}
        routes = f"{running.admin}/config/apps/http/servers/{running.server}/routes/0"
        httpx.put(routes, json={"handle": [said], "terminal": True}, timeout=10).raise_for_status()
        yield running
    finally:
        caddy.remove(folder)


def environment(folder: Path, kubeconfig: Path, door: EmbeddedCaddy, server: EmbeddedPostgres) -> Mapping[str, str]:
    """What `tenantry` needs to build ISPs there."""
    ingress = {
        "domain": door.domain,
        "address": f"127.0.0.1:{door.port}",
        "caFile": str(door.ca_file),
        "issuer": "bench",
    }
    region = {
        "database": {
            "host": server.host,
            "internal": _INSIDE,
            "port": server.port,
            "user": server.user,
            "passwordFrom": _PASSWORD,
            "name": _DATABASE,
            "sslmode": "disable",
        },
        "container": {"platform": "kubernetes", "kubeconfig": str(kubeconfig), "ingress": ingress},
    }
    path = folder / "backends.yaml"
    path.write_text(yaml.safe_dump({"regions": {REGION: region}}), encoding="utf-8")
    return {"TENANTRY_BACKENDS": str(path), _PASSWORD: server.password}
