"""Starts and ends the processes of one control plane: control.py COMMAND FOLDER BINARY. `.ci/kubernetes` says what for.

All that they have is in FOLDER: etcd's data, certificates, a token, the ports and each process's number. What lives is
left alone by `start`, so that it also mends what `kill` or `away` has broken.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

_NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "fake-kubelet")
_SECONDS = 120.0
# Who does what with the token of a service account is written into FOLDER/audit.log, a document a line.
_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}


class Plane:
    """The control plane of one folder."""

    def __init__(self, home: Path, binary: str) -> None:
        self.home, self.binary = home, binary
        self.kubeconfig, self.key, self.tokens = home / "kubeconfig", home / "sa.key", home / "tokens.csv"
        self.authority, self.audit = home / "certs" / "apiserver.crt", home / "audit.yaml"

    def start(self) -> None:
        if not self.kubeconfig.exists():
            self._prepare()
        self.audit.write_text(json.dumps(_AUDIT))
        etcd, peer, api = self._ports()
        server_was_there = self._alive("kube-apiserver")
        self._spawn("etcd", *_etcd(self.home, etcd, peer))
        self._spawn("kube-apiserver", *self._apiserver(etcd, api))
        self._wait_ready(api)
        if not server_was_there:
            # They come back by themselves, but only after a pause that has doubled with each try.
            for name in _NAMES[2:]:
                self._kill(name)
        self._spawn("kube-controller-manager", *self._manager())
        self._spawn("fake-kubelet", "--kubeconfig", str(self.kubeconfig))
        self._wait_nodes(api)

    def kill(self) -> None:
        for name in reversed(_NAMES):
            self._kill(name)

    def away(self) -> None:
        self._kill("kube-apiserver")

    def signal(self, number: signal.Signals) -> None:
        """To the API server alone."""
        if pid := self._alive("kube-apiserver"):
            os.kill(pid, number)

    def stop(self) -> None:
        # A polite stop of all at once takes 17 s, and there is nothing to save.
        self.kill()
        if self.tokens.exists():
            shutil.rmtree(self.home)

    def _prepare(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        (self.home / "ports").write_text(json.dumps(_free_ports(3)))
        token = secrets.token_hex(16)
        self.tokens.write_text(f"{token},admin,admin,system:masters\n")
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", "RSA", "-out", str(self.key)], check=True, capture_output=True
        )
        cluster = {"server": f"https://127.0.0.1:{self._ports()[2]}", "certificate-authority": str(self.authority)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        }
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(json.dumps(config))

    def _ports(self) -> list[int]:
        ports: list[int] = json.loads((self.home / "ports").read_text())
        return ports

    def _apiserver(self, etcd: int, port: int) -> list[str]:
        return [
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={self.authority.parent}",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self.tokens}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={self.key}",
            f"--service-account-key-file={self.key}",
            f"--audit-policy-file={self.audit}",
            f"--audit-log-path={self.home / 'audit.log'}",
            "--allow-privileged=true",
            "--profiling=false",
            # How long a Pod stays on a node that went; 300 s otherwise.
            "--default-not-ready-toleration-seconds=2",
            "--default-unreachable-toleration-seconds=2",
            "--v=1",
        ]

    def _manager(self) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            f"--service-account-private-key-file={self.key}",
            f"--root-ca-file={self.authority}",
            "--secure-port=0",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            "--profiling=false",
            "--controllers=*",
            # The fake kubelet itself says when a node is lost; silence alone is a machine that stalls.
            "--node-monitor-period=1s",
            "--node-monitor-grace-period=300s",
            "--node-eviction-rate=10",
        ]

    def _spawn(self, name: str, *arguments: str) -> None:
        if self._alive(name):
            return
        with ExitStack() as stack:
            log = stack.enter_context((self.home / f"{name}.log").open("ab"))
            process = subprocess.Popen(
                [self.binary, name, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
            )
        (self.home / f"{name}.pid").write_text(str(process.pid))

    def _alive(self, name: str) -> int:
        """Its number, or 0. A number that was given to another process since is not it."""
        try:
            pid = int((self.home / f"{name}.pid").read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
            # Its first thread may have ended and others, with the ports, not yet.
            ended = state in "ZX" and len(list(Path(f"/proc/{pid}/task").iterdir())) < 2
        except (OSError, ValueError):
            return 0
        # One that is ending has no words any more.
        return pid if not ended and (str(self.home) in words or not words) else 0

    def _kill(self, name: str) -> None:
        pid = self._alive(name)
        if pid:
            os.kill(pid, signal.SIGKILL)
            end = time.monotonic() + 30
            while self._alive(name) and time.monotonic() < end:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
                time.sleep(0.02)
        (self.home / f"{name}.pid").unlink(missing_ok=True)

    def _answer(self, port: int, path: str) -> bytes:
        token = self.tokens.read_text().partition(",")[0]
        request = urllib.request.Request(
            f"https://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        context = ssl.create_default_context(cafile=str(self.authority))
        with urllib.request.urlopen(request, context=context, timeout=5) as answer:  # noqa: S310
            body: bytes = answer.read()
            return body

    def _wait_ready(self, port: int) -> None:
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            with suppress(OSError):  # also what it answers before it is ready, and no certificate yet
                self._answer(port, "/readyz")
                return
            if not self._alive("kube-apiserver") or not self._alive("etcd"):
                break
            time.sleep(0.05)
        self._fail("kube-apiserver")

    def _wait_nodes(self, port: int) -> None:
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            # Pods of a namespace are refused until its service account has been made.
            nodes = json.loads(self._answer(port, "/api/v1/nodes"))["items"]
            ready = [c for n in nodes for c in n["status"].get("conditions", []) if c["type"] == "Ready"]
            with suppress(urllib.error.HTTPError):
                if ready:
                    self._answer(port, "/api/v1/namespaces/default/serviceaccounts/default")
                    return
            if not self._alive("fake-kubelet") or not self._alive("kube-controller-manager"):
                break
            time.sleep(0.05)
        self._fail("fake-kubelet")

    def _fail(self, name: str) -> None:
        log = (self.home / f"{name}.log").read_text(errors="replace")[-3000:]
        sys.exit(f"the Kubernetes control plane did not start within {_SECONDS:.0f} s; the end of {name}.log:\n{log}")


def _etcd(home: Path, port: int, peer: int) -> list[str]:
    client, own = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    return [
        f"--data-dir={home / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={own}",
        f"--initial-advertise-peer-urls={own}",
        f"--initial-cluster=default={own}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def main() -> None:
    command, home, binary = sys.argv[1:]
    plane = Plane(Path(home), binary)
    match command:
        case "start":
            plane.start()
        case "kill":
            plane.kill()
        case "away":
            plane.away()
        case "pause":
            plane.signal(signal.SIGSTOP)
        case "resume":
            plane.signal(signal.SIGCONT)
        case "stop":
            plane.stop()


main()
