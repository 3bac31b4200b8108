"""What the gRPC layer asks of a package, whatever its types are: declared one by one (`declared`), or free documents.

Decides nothing. Every call may raise a ProviderError; one that made an object raises PartialError, if it is not as it
is to be.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from providers.plugin.engine_log import EngineLog, Voice
from providers.plugin.errors import ProviderError
from providers.plugin.properties import Change, Checked, Naming
from providers.plugin.wire import Bag, Plain


class PartialError(ProviderError):
    """An object is there, but not as it is to be: what is known of it, for the engine to keep."""

    def __init__(self, reason: str, *, object_id: str, outputs: Bag, inputs: Bag) -> None:
        super().__init__(reason)
        self.object_id = object_id
        self.outputs = outputs
        self.inputs = inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`by_name` is what changed, by path; a replacement of an exclusive object needs the old one gone first."""

    by_name: dict[str, Change]
    replaces: frozenset[str]
    delete_before_replace: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The resource that a call is about. `timeout` is what its options allow, in seconds; 0 means the default.

    `object_id` is empty where there is none yet.
    """

    urn: str
    type: str
    voice: Voice
    timeout: float = 0
    object_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """A resource as the state has it: what was asked for, and what came of it."""

    inputs: Bag = field(default_factory=lambda: Bag(values={}))
    outputs: Bag = field(default_factory=lambda: Bag(values={}))


class Service(Protocol):
    """One package. `configure` comes once, before any call about a resource; `cancel` may come at any time."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str:
        """The version of the SDK package whose types these are, which is what the engine compares."""
        ...

    @property
    def preload(self) -> str:
        """A module that the first call needs, loaded while the engine connects."""
        ...

    @property
    def stable_names(self) -> bool:
        """Whether an object that is given no name gets the same one in each run, whatever the engine's seed."""
        ...

    def schema(self) -> str: ...
    def check_config(self, news: Bag) -> tuple[Bag, list[tuple[str, str]]]:
        """The configuration as given, and what is wrong with it: (property, reason) each."""
        ...

    def config_replaces(self, olds: Plain, news: Plain, changed: Sequence[str]) -> frozenset[str]:
        """Which of the changed properties mean other objects than before."""
        ...

    def configure(self, args: Plain, log: EngineLog) -> None: ...
    def check(self, ask: Ask, news: Bag, olds: Bag, naming: Naming) -> Checked: ...
    def diff(self, ask: Ask, before: Before, news: Bag, ignored: Sequence[str]) -> Difference: ...
    def preview_create(self, ask: Ask, inputs: Bag) -> Bag: ...
    def create(self, ask: Ask, inputs: Bag) -> tuple[str, Bag]: ...
    def read(self, ask: Ask, before: Before) -> tuple[str, Bag, Bag] | None:
        """(id, outputs, inputs) of what exists, or None. Without anything before, this is an import by the id."""
        ...

    def preview_update(self, ask: Ask, before: Before, news: Bag) -> Bag: ...
    def update(self, ask: Ask, before: Before, news: Bag, ignored: Sequence[str]) -> Bag: ...
    def delete(self, ask: Ask, before: Before) -> None: ...
    def invoke(self, token: str, args: Bag) -> Bag: ...
    def no_component(self, type_: str) -> str:
        """Why a component of this type is not served, and what to do instead: no package here serves any."""
        ...

    def cancel(self) -> None: ...
