"""Which kinds the API server knows, and under which path each is found.

What is known is kept; a kind that is not there is looked for again, since a program may have defined it meanwhile.
"""

import contextlib
import threading
import time
from dataclasses import dataclass
from urllib.parse import quote

from providers.kubernetes.errors import AwayError, Doing, MissingError
from providers.kubernetes.transport import Transport

_AGAIN_SECONDS = 1.0
"""How long the list of a group is taken to be complete."""
_AGGREGATED_SECONDS = 3.0
"""How long a group is tried, once the server has answered for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of object, as the server serves it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool
    listable: bool = False

    def path(self, namespace: str, name: str = "") -> str:
        """The path of an object, or of all of them where there is no name."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        within = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        return f"{root}{within}/{self.plural}" + (f"/{quote(name, safe='')}" if name else "")


class Discovery:
    """Safe to use from many threads."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._groups: dict[str, tuple[float, dict[str, Kind]]] = {}
        self._mutex = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}

    def find(self, api_version: str, kind: str, *, patience: float | None = None) -> Kind | None:
        """The kind, or None where the server knows none of that name; `patience` as `Transport.request` has it."""
        with self._mutex:
            asking = self._asking.setdefault(api_version, threading.Lock())
        # One asks for all.
        with asking:
            at, known = self._groups.get(api_version, (float("-inf"), {}))
            if kind not in known and time.monotonic() - at > _AGAIN_SECONDS:
                known = self._kinds(api_version, patience)
                self._groups[api_version] = (time.monotonic(), known)
        return known.get(kind)

    def listable(self) -> tuple[Kind, ...]:
        """All kinds of objects that can be listed, each in the version that the server prefers.

        Without those of a group that a server of its own serves (an aggregated API) which is away, as one of metrics
        often is: nobody can say what there is of them, and nobody could make one.
        """
        doing = Doing(verb="ask for", subject="the groups of kinds", host=self._transport.host)
        groups = (self._transport.request("GET", "/apis", doing) or {}).get("groups") or []
        known = [self._kinds("v1", None)]
        for each in groups:
            with contextlib.suppress(AwayError):
                known.append(self._kinds(str(each["preferredVersion"]["groupVersion"]), _AGGREGATED_SECONDS))
        return tuple(kind for kinds in known for kind in kinds.values() if kind.listable)

    def _kinds(self, api_version: str, patience: float | None) -> dict[str, Kind]:
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        doing = Doing(verb="ask for", subject=f"the kinds of {api_version}", host=self._transport.host)
        try:
            answer = self._transport.request("GET", path, doing, patience=patience)
        except MissingError:
            return {}
        return {
            str(each["kind"]): Kind(
                api_version=api_version,
                kind=str(each["kind"]),
                plural=str(each["name"]),
                namespaced=bool(each.get("namespaced")),
                listable="list" in (each.get("verbs") or ()),
            )
            for each in (answer or {}).get("resources") or []
            if "/" not in str(each.get("name"))
        }
