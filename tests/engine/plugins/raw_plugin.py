"""A provider plugin without any SDK, that does as RAW_PLUGIN tells it: a JSON object, see the keys below.

Objects are made of air: an id is the resource's name. Every request is written down in RAW_LOG, one JSON object a line.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2, json_format
from google.rpc import status_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc

DO: dict[str, Any] = {
    "handshake": False,  # whether there is a Handshake
    "abilities": {},  # answer of Configure: acceptSecrets, acceptResources, supportsPreview, ...
    "dies": "",  # the method that ends the process
    "hangs": "",  # the method that never answers
    "missing_keys": False,
    "unready": False,  # Create and Update fail after they have been done
    "diff": {},  # fields of DiffResponse
    "outputs": {},  # further outputs of Create and Update
    "says": "",  # to the engine, at Configure
    "version": "1.0.0",
    "port": "",
    "becomes": "",  # what Parameterize answers in place of the name
    **json.loads(os.environ.get("RAW_PLUGIN", "{}")),
}
LOCK = threading.Lock()


def log(method: str, request: Any) -> None:
    body = json_format.MessageToDict(request, preserving_proto_field_name=True)
    with LOCK, Path(os.environ["RAW_LOG"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"method": method, **body}) + "\n")


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    def _enter(self, method: str, request: Any) -> None:
        log(method, request)
        if DO["dies"] == method:
            sys.stderr.write("what a plugin says before it dies\n")
            sys.stderr.flush()
            os._exit(7)
        if DO["hangs"] == method:
            time.sleep(60)

    def Handshake(self, request: Any, context: Any) -> Any:
        if not DO["handshake"]:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "an older plugin")
        self._enter("Handshake", request)
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=DO["version"])

    def Parameterize(self, request: Any, context: Any) -> Any:
        self._enter("Parameterize", request)
        return provider_pb2.ParameterizeResponse(
            name=DO["becomes"] or request.value.name, version=request.value.version
        )

    def CheckConfig(self, request: Any, context: Any) -> Any:
        self._enter("CheckConfig", request)
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        self._enter("DiffConfig", request)
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "an older plugin")

    def Configure(self, request: Any, context: Any) -> Any:
        self._enter("Configure", request)
        if DO["missing_keys"]:
            key = provider_pb2.ConfigureErrorMissingKeys.MissingKey(name="raw:token", description="who you are")
            fail(context, "not configured", provider_pb2.ConfigureErrorMissingKeys(missingKeys=[key]))
        if DO["says"]:
            with grpc.insecure_channel(sys.argv[1]) as channel:
                told = engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=DO["says"])
                engine_pb2_grpc.EngineStub(channel).Log(told)
        return provider_pb2.ConfigureResponse(**DO["abilities"])

    def Check(self, request: Any, context: Any) -> Any:
        self._enter("Check", request)
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        self._enter("Diff", request)
        answer = provider_pb2.DiffResponse()
        json_format.ParseDict(DO["diff"], answer)
        return answer

    def Create(self, request: Any, context: Any) -> Any:
        self._enter("Create", request)
        properties = self._outputs(request.properties)
        if DO["unready"]:
            fail(
                context,
                "not ready",
                provider_pb2.ErrorResourceInitFailed(id=request.name, properties=properties, reasons=["cold", "dark"]),
            )
        return provider_pb2.CreateResponse(id=request.name, properties=properties)

    def Update(self, request: Any, context: Any) -> Any:
        self._enter("Update", request)
        properties = self._outputs(request.news)
        if DO["unready"]:
            detail = provider_pb2.ErrorResourceInitFailed(id=request.id, properties=properties, reasons=["cold"])
            fail(context, "not ready", detail)
        return provider_pb2.UpdateResponse(properties=properties)

    def _outputs(self, inputs: Any) -> Any:
        answer = provider_pb2.CreateResponse(properties=inputs)
        for key, value in DO["outputs"].items():
            json_format.ParseDict(value, answer.properties.fields[key])
        return answer.properties

    def Read(self, request: Any, context: Any) -> Any:
        self._enter("Read", request)
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Delete(self, request: Any, context: Any) -> Any:
        self._enter("Delete", request)
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        self._enter("Cancel", request)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        self._enter("Invoke", request)
        return provider_pb2.InvokeResponse(**{"return": request.args})


def fail(context: Any, message: str, detail: Any) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message, details=[packed])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, message)


def main() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(8))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Plugin(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    started = {"method": "start", "pid": os.getpid(), "argv": sys.argv[1:], "cwd": str(Path.cwd())}
    started["env"] = {key: value for key, value in os.environ.items() if key.startswith("PULUMI_")}
    with Path(os.environ["RAW_LOG"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(started) + "\n")
    print(DO["port"] or port, flush=True)  # noqa: T201 - how a plugin says where it is
    server.wait_for_termination()


if __name__ == "__main__":
    main()
