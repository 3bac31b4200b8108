"""What a resource type is to its server. Talks to no engine.

A type decides how its object is made, read, changed and removed. Its facts (`read`) hold only what the server knows;
what only the program knows (how to drop it, a password) is kept from the state by `operations`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

from providers.plugin.errors import ConflictError
from providers.plugin.properties import Failure, Property
from providers.plugin.wire import Plain

MARK_PREFIX = "managed by pulumi: "

T = TypeVar("T")


class Client(Protocol):
    """A connection to the server, used by many threads."""

    def retrying(self, action: Callable[[], T]) -> T:
        """Do it, a bounded number of times, where the failure is a passing one."""
        ...

    def cancel(self) -> None:
        """Stop what is under way and refuse what comes."""
        ...


ClientT = TypeVar("ClientT", bound=Client)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[ClientT]):
    """One call for one resource. `timeout` is what its options allow, in seconds; 0 means the default.

    `object_id` is empty where there is none yet.
    """

    client: ClientT
    urn: str
    timeout: float = 0
    object_id: str = ""

    @property
    def mark(self) -> str:
        """What is written on an object of ours, by which a later run knows it. It stays when the object is renamed."""
        return MARK_PREFIX + self.urn


class ResourceType(Protocol[ClientT]):
    """One type of a package."""

    @property
    def token(self) -> str: ...
    @property
    def spec(self) -> tuple[Property, ...]: ...
    @property
    def exclusive(self) -> bool:
        """Whether a replacement has the same key in the server, so that the old one must go first."""
        ...

    def validate(self, inputs: Plain) -> list[Failure]: ...
    def identify(self, call: Call[ClientT], inputs: Plain) -> str:
        """The id; `inputs` are what was asked for and what the server says."""
        ...

    def parse_id(self, object_id: str) -> Plain:
        """What an id to import says. Raises RefusedError."""
        ...

    def create(self, call: Call[ClientT], inputs: Plain) -> str | None:
        """The id, where the server gives one: by it the object is kept even if it cannot be read just then."""
        ...

    def read(self, call: Call[ClientT], known: Plain) -> Plain | None:
        """The object's facts, or None when it is gone."""
        ...

    def update(self, call: Call[ClientT], olds: Plain, news: Plain, changed: frozenset[str]) -> None: ...
    def delete(self, call: Call[ClientT], olds: Plain) -> None: ...


@runtime_checkable
class Completing(Protocol):
    """A type whose inputs depend on something outside the program, such as the contents of files."""

    def complete(self, inputs: Plain) -> Plain:
        """The inputs, with what follows from them. Raises RefusedError."""
        ...


@runtime_checkable
class Keyed(Protocol):
    """A type of which only some replacements have the same key in the server as the old object."""

    def same_key(self, olds: Plain, news: Plain) -> bool: ...


def title(token: str) -> str:
    """`postgresql:index/database:Database` -> `Database`."""
    return token.rpartition(":")[2]


def refuse_foreign(mark_of_ours: str, what: str, mark: str | None) -> None:
    """Raises ConflictError unless the mark found on an existing object says that it is this resource's."""
    if mark == mark_of_ours:
        return
    owner = f"it belongs to {mark.removeprefix(MARK_PREFIX)}" if mark and mark.startswith(MARK_PREFIX) else ""
    reason = owner or "it exists already and this resource did not make it"
    raise ConflictError(f"cannot create {what}: {reason}. Choose another name, or take it over with `pulumi import`")
