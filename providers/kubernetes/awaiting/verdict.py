"""What a look at an object can show, and what has to be looked at for it. Decides nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from providers.kubernetes.seam import Document

DEFAULT_SECONDS = 600.0
"""How long the stock provider waits for most kinds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """`reason` says which condition is missing, `step` which of how many steps that is."""

    reason: str
    step: tuple[int, int] | None = None

    @property
    def message(self) -> str:
        return self.reason if self.step is None else f"[{self.step[0]}/{self.step[1]}] {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The API says that it is final: waiting longer cannot help."""

    reason: str


Verdict = Ready | Waiting | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Other objects that a verdict needs: one by `name`, or those that match the selectors.

    With `optional`, a user who may not read them still has a verdict; with `watched`, a change of them is looked at at
    once, as one of the object itself is; with `telling`, they only explain, and are asked for when there is time to.
    """

    key: str
    api_version: str
    kind: str
    namespace: str = ""
    name: str = ""
    labels: str = ""
    fields: str = ""
    optional: bool = False
    watched: bool = False
    telling: bool = False


Related = Mapping[str, list[Document] | None]
"""What was found, by the query's key; None where it may not be read."""


def no_queries(_obj: Document) -> tuple[Query, ...]:
    return ()


def no_pods(_obj: Document) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a kind is waited for. `first` of `judge` is the object as it was when the wait began.

    `pods` is the label selector of the pods that can be to blame; `seconds` is the default time.
    """

    judge: Callable[[Document, Related, Document], Verdict]
    queries: Callable[[Document], tuple[Query, ...]] = no_queries
    pods: Callable[[Document], str] = no_pods
    seconds: float = DEFAULT_SECONDS
