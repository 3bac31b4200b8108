"""What a package is: its types, its configuration, its client."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Generic

from providers.plugin.errors import RefusedError
from providers.plugin.properties import Property
from providers.plugin.resource import ClientT, ResourceType, title
from providers.plugin.wire import Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Package(Generic[ClientT]):
    """`check_config` gives the configuration as given and what is wrong with it: (property, reason) each.

    `connect` makes a client of a configuration, without yet connecting. `preload` is a module that the client imports
    on its first use, loaded while the engine connects. With `stable_names`, an object that is given no name gets the
    same one in each run, so that a run that was killed leaves nothing under a name that nobody knows.
    """

    name: str
    distribution: str
    types: Mapping[str, ResourceType[ClientT]]
    config: tuple[Property, ...]
    check_config: Callable[[Plain], tuple[Plain, list[tuple[str, str]]]]
    connect: Callable[[Plain], ClientT]
    preload: str
    stable_names: bool = False

    @property
    def secret_config(self) -> frozenset[str]:
        return frozenset(prop.name for prop in self.config if prop.secret)

    @property
    def version(self) -> str:
        """The version of the SDK package whose types these are, which is what the engine compares."""
        return _version(self.distribution)

    def type_of(self, token: str) -> ResourceType[ClientT]:
        """Raises RefusedError naming the type and those that are served."""
        found = self.types.get(token)
        if found is None:
            served = ", ".join(sorted({title(each.token) for each in self.types.values()}))
            raise RefusedError(f"type {token} is not served here (served: {served}): install the stock plugin for it")
        return found


@cache
def _version(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "0.0.0"
