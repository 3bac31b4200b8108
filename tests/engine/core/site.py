"""A project with its stack on files, a cloud and a program, which outlive the commands that are run on them.

Commands run in this process, or in one of their own, which is what `environment` is for.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from engine import cli
from engine.checkpoint import Codec
from engine.errors import ProgramError
from engine.operation import RunInfo
from engine.resource import is_provider_type
from engine.snapshot import Snapshot
from engine.streams import Streams
from tests.engine.core.cloud import Cloud
from tests.engine.core.program import ProgramOf

ROOT = Path(__file__).resolve().parents[3]


class Language(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs the program, as the Automation API does for an inline one."""

    def __init__(self, items: tuple[Any, ...]) -> None:
        self.items = items

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        info = RunInfo(
            monitor_address=request.monitor_address,
            engine_address=request.args[0],
            project=request.project,
            stack=request.stack,
            organization=request.organization,
            config=dict(request.config),
            secret_keys=frozenset(request.configSecretKeys),
            dry_run=request.dryRun,
            parallel=request.parallel,
        )
        try:
            ProgramOf(self.items).run(info)
        except (ProgramError, grpc.RpcError) as error:  # the command may be dead
            return language_pb2.RunResponse(error=str(error))
        return language_pb2.RunResponse()


@dataclass(slots=True)
class Site:
    """A project with its stack on files, a cloud, and a language server."""

    folder: Path
    cloud: Cloud
    language: Language
    address: str
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *words: str) -> tuple[int, str]:
        """One command in this process: its exit code and what it said."""
        out = io.StringIO()
        streams = Streams(stdin=io.StringIO(), stdout=out, stderr=out)
        code = cli.main(self.with_client(words), cwd=self.folder, environment=self.environment, streams=streams)
        return code, out.getvalue()

    def with_client(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """The command with the address of the program, where it runs one."""
        return (*words, f"--client={self.address}") if words[0] in {"up", "preview"} else words

    @property
    def snapshot(self) -> Snapshot:
        """The state as the command line tells it, a journal included."""
        code, text = self.command("stack", "export", "--show-secrets", "--stack", "test")
        assert code == 0, text
        return Codec(NoCipher()).from_dict(json.loads(text)["deployment"])

    @property
    def owned(self) -> set[str]:
        return {s.id for s in self.snapshot.resources if s.custom and not is_provider_type(s.type)}


class NoCipher:
    def encrypt(self, plaintext: str) -> str:
        raise AssertionError

    def decrypt(self, text: str) -> str:
        raise AssertionError


@contextmanager
def a_site(folder: Path, cloud: Cloud) -> Iterator[Site]:
    """The site in a folder, as long as it is used; the cloud ends with it."""
    language = Language(())
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(language, server)  # type: ignore[no-untyped-call]
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "PULUMI_CONFIG_PASSPHRASE": "correct horse",
        "PULUMI_DEBUG_PROVIDERS": f"fake:{cloud.port}",
    }
    try:
        yield Site(folder, cloud, language, address, environment)
    finally:
        cloud.close()
        server.stop(grace=None).wait(5)
