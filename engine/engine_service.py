"""The gRPC service Engine, which programs and plugins log to. It translates, and leaves out what is not to be shown."""

from __future__ import annotations

from typing import Any, Final

import grpc
from google.protobuf import empty_pb2

from engine import events
from engine.program_host import NO_DEBUG
from engine.reporter import Reporter
from engine.rpc import engine_pb2, engine_pb2_grpc

Request = Any
Context = grpc.ServicerContext
_SEVERITIES: Final = {0: "debug", 1: "info", 2: "warning", 3: "error"}


class EngineService(engine_pb2_grpc.EngineServicer):
    """Log lines of the program and of plugins, and the root resource."""

    def __init__(self, reporter: Reporter, *, debug: bool) -> None:
        self._reporter = reporter
        self._debug = debug
        self._root = ""

    def Log(self, request: Request, context: Context) -> empty_pb2.Empty:
        severity = _SEVERITIES.get(request.severity, "info")
        if severity == "debug" and not self._debug:
            # Programs that know the word send no more of them.
            context.set_trailing_metadata(((NO_DEBUG, ""),))
            return empty_pb2.Empty()
        self._reporter.program_log(
            events.diagnostic(
                severity, request.message, request.urn, stream=request.streamId, ephemeral=request.ephemeral
            )
        )
        return empty_pb2.Empty()

    def GetRootResource(self, request: Request, context: Context) -> engine_pb2.GetRootResourceResponse:
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Request, context: Context) -> engine_pb2.SetRootResourceResponse:
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()
