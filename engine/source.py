"""Where registrations come from: the events between the resource monitor and the deployment. Data only.

A source puts events into the deployment's queue one by one; each answers its caller through `answer`, once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from engine.errors import EngineError
from engine.resource import Goal, PropertyMap, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What became of a registration. `failed` and `skipped` are told to programs that go on after errors."""

    state: State
    stables: tuple[str, ...] = ()
    stable: bool = False
    failed: bool = False
    skipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegisterResource:
    """A program asks for a resource."""

    goal: Goal
    answer: Future[Registered] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadResource:
    """A program asks for the state of an object that it does not own."""

    id: object
    """A string, or UNKNOWN."""
    goal: Goal
    answer: Future[Registered] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegisterOutputs:
    """A component, or the stack, says what its outputs are."""

    urn: str
    outputs: PropertyMap
    answer: Future[None] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramEnded:
    """The program will send nothing more."""

    error: EngineError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsEnded:
    """A chain of steps has ended; sent by the workers to wake the loop."""

    failed: bool


Event = RegisterResource | ReadResource | RegisterOutputs | ProgramEnded | StepsEnded
Answer = Callable[[Event], None]
