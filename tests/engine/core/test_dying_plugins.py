"""Plugins that end where they should not: an error that says so, soon."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from pulumi.runtime.proto import provider_pb2

from engine.errors import PluginError
from engine.plugin_search import PluginCommand
from engine.plugins import PluginProcess
from engine.provider_client import PluginProvider

GONE = "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\n"
DIES_IN_A_CALL = """
import os
from concurrent import futures
import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    def Handshake(self, request, context):
        return provider_pb2.ProviderHandshakeResponse()
    def Create(self, request, context):
        os._exit(7)

server = grpc.server(futures.ThreadPoolExecutor(2))
provider_pb2_grpc.add_ResourceProviderServicer_to_server(Plugin(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"""


def plugin(body: str, folder: Path) -> PluginProvider:
    path = folder / "plugin.py"
    path.write_text(body, encoding="utf-8")
    command = PluginCommand(argv=(sys.executable, str(path)), origin="a test")
    process = PluginProcess("fake", command, env=dict(os.environ), cwd=folder, on_line=lambda *_: None)
    return PluginProvider(process, provider_pb2.ProviderHandshakeRequest())


def test_a_plugin_that_ends_after_it_has_said_its_port(tmp_path: Path) -> None:
    provider = plugin(GONE, tmp_path)
    began = time.monotonic()
    with pytest.raises(PluginError):
        provider.create("urn:pulumi:s::p::fake:index:Bucket::a", {}, 0, preview=False)
    assert time.monotonic() - began < 30, "nobody waits for what has ended"
    provider.connection.close()


def test_a_plugin_that_ends_during_a_call(tmp_path: Path) -> None:
    provider = plugin(DIES_IN_A_CALL, tmp_path)
    with pytest.raises(PluginError, match="'fake' ended during Create"):
        provider.create("urn:pulumi:s::p::fake:index:Bucket::a", {}, 0, preview=False)
    provider.connection.close()
