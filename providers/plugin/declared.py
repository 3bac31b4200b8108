"""A package of declared types, as the gRPC layer wants it: finds the type of each call; `operations` does the rest."""

import threading
from collections.abc import Sequence
from typing import Generic

from providers.plugin import operations
from providers.plugin.engine_log import EngineLog
from providers.plugin.errors import CancelledError, RefusedError
from providers.plugin.package import Package
from providers.plugin.properties import Checked, Naming
from providers.plugin.resource import Call, ClientT
from providers.plugin.service import Ask, Before, Difference
from providers.plugin.wire import Bag, Plain, has_unknown


class Declared(Generic[ClientT]):
    def __init__(self, package: Package[ClientT]) -> None:
        self._package = package
        self._args: Plain = {}
        self._client: ClientT | None = None
        self._mutex = threading.Lock()
        self._cancelled = False

    @property
    def name(self) -> str:
        return self._package.name

    @property
    def version(self) -> str:
        return self._package.version

    @property
    def preload(self) -> str:
        return self._package.preload

    @property
    def stable_names(self) -> bool:
        return self._package.stable_names

    def schema(self) -> str:
        return operations.schema_json(self._package)

    def check_config(self, news: Bag) -> tuple[Bag, list[tuple[str, str]]]:
        values, failures = self._package.check_config(news.values)
        return Bag(values=values, secret=(news.secret | self._package.secret_config) & values.keys()), failures

    def config_replaces(self, olds: Plain, news: Plain, changed: Sequence[str]) -> frozenset[str]:  # noqa: ARG002
        return frozenset()

    def configure(self, args: Plain, log: EngineLog) -> None:  # noqa: ARG002
        with self._mutex:
            self._args = args
            self._client = None
        if not has_unknown(args):
            self._connectable()

    def check(self, ask: Ask, news: Bag, olds: Bag, naming: Naming) -> Checked:
        return operations.check_inputs(self._package.type_of(ask.type), news, olds, naming)

    def diff(self, ask: Ask, before: Before, news: Bag, ignored: Sequence[str]) -> Difference:
        return operations.difference(self._package.type_of(ask.type), before.outputs, news, ignored)

    def preview_create(self, ask: Ask, inputs: Bag) -> Bag:
        return operations.preview_create(self._package.type_of(ask.type), inputs)

    def create(self, ask: Ask, inputs: Bag) -> tuple[str, Bag]:
        return operations.create(self._package.type_of(ask.type), self._call(ask), inputs)

    def read(self, ask: Ask, before: Before) -> tuple[str, Bag, Bag] | None:
        return operations.read(self._package.type_of(ask.type), self._call(ask), before.outputs, before.inputs)

    def preview_update(self, ask: Ask, before: Before, news: Bag) -> Bag:
        return operations.preview_update(self._package.type_of(ask.type), before.outputs, news)

    def update(self, ask: Ask, before: Before, news: Bag, ignored: Sequence[str]) -> Bag:
        return operations.update(self._package.type_of(ask.type), self._call(ask), before.outputs, news, ignored)

    def delete(self, ask: Ask, before: Before) -> None:
        operations.delete(self._package.type_of(ask.type), self._call(ask), before.outputs)

    def invoke(self, token: str, args: Bag) -> Bag:  # noqa: ARG002
        raise RefusedError(f"function {token} is not served here: install the stock plugin for it")

    def no_component(self, type_: str) -> str:
        return f"component {type_} is not served here: the package has none"

    def cancel(self) -> None:
        with self._mutex:
            self._cancelled = True
            client = self._client
        if client is not None:
            client.cancel()

    def _connectable(self) -> ClientT:
        with self._mutex:
            if self._cancelled:
                raise CancelledError(f"cancelled: the engine asked the {self._package.name} provider to stop")
            if self._client is None:
                self._client = self._package.connect(self._args)
            return self._client

    def _call(self, ask: Ask) -> Call[ClientT]:
        return Call(client=self._connectable(), urn=ask.urn, timeout=ask.timeout, object_id=ask.object_id)
