"""The Callbacks service of a program, for the programs of the scenarios: functions that the engine calls back.

Hooks and transforms are registered by the program (`hook`, `error_hook`, `transform`), as the SDK's are.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from engine.resource import PropertyMap, from_struct, to_struct
from tests.engine.core.program import Do

Bytes = Callable[[bytes], Any]


class CallbackHost(callback_pb2_grpc.CallbacksServicer):
    """`seen` are the hooks that were called: texts such as `before_create a`. `requests` are what they were told."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.requests: list[Any] = []
        self._functions: dict[str, Bytes] = {}
        self._server = grpc.server(ThreadPoolExecutor(max_workers=16, thread_name_prefix="host"))
        callback_pb2_grpc.add_CallbacksServicer_to_server(self, self._server)
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def close(self) -> None:
        self._server.stop(grace=None).wait(5)

    def Invoke(self, request: Any, context: Any) -> Any:
        try:
            answer = self._functions[request.token](request.request)
        except Exception as error:  # noqa: BLE001 - the SDK answers with whatever was raised
            context.abort(grpc.StatusCode.UNKNOWN, f"Invoke callback error: {error}")
        return callback_pb2.CallbackInvokeResponse(response=answer.SerializeToString())

    def callback(self, function: Bytes) -> Any:
        token = str(uuid.uuid4())
        self._functions[token] = function
        return callback_pb2.Callback(target=self.target, token=token)

    # -------------------------------------------------------- hooks

    def hook(self, name: str, action: Callable[[Any], None] = lambda _: None, **options: bool) -> Do:
        """A resource hook; what `action` raises is its error."""

        def run(body: bytes) -> Any:
            request = resource_pb2.ResourceHookRequest.FromString(body)
            self.seen.append(f"{name} {request.name}")
            self.requests.append(request)
            try:
                action(request)
            except Exception as error:  # noqa: BLE001 - as the SDK does
                return resource_pb2.ResourceHookResponse(error=str(error))
            return resource_pb2.ResourceHookResponse()

        request = resource_pb2.RegisterResourceHookRequest(name=name, callback=self.callback(run), **options)
        return Do(lambda run: run.monitor.RegisterResourceHook(request))

    def error_hook(self, name: str, wants_again: Callable[[Any], bool]) -> Do:
        def run(body: bytes) -> Any:
            request = resource_pb2.ErrorHookRequest.FromString(body)
            self.seen.append(f"{name} {request.name}")
            self.requests.append(request)
            try:
                return resource_pb2.ErrorHookResponse(retry=wants_again(request))
            except Exception as error:  # noqa: BLE001 - as the SDK does
                return resource_pb2.ErrorHookResponse(error=str(error))

        request = resource_pb2.RegisterErrorHookRequest(name=name, callback=self.callback(run))
        return Do(lambda run: run.monitor.RegisterErrorHook(request))

    # -------------------------------------------------------- transforms

    def transform(self, change: Callable[[Any, PropertyMap], PropertyMap | None]) -> Any:
        """A transform: `change` is given the request, whose options it may change, and the properties."""

        def run(body: bytes) -> Any:
            request = resource_pb2.TransformRequest.FromString(body)
            properties = change(request, from_struct(request.properties))
            if properties is None:
                return resource_pb2.TransformResponse(options=request.options)
            return resource_pb2.TransformResponse(properties=to_struct(properties), options=request.options)

        return self.callback(run)

    def stack_transform(self, change: Callable[[Any, PropertyMap], PropertyMap | None]) -> Do:
        callback = self.transform(change)
        return Do(lambda run: run.monitor.RegisterStackTransform(callback))
