"""Where registrations come from: the events between the resource monitor and the deployment. Data only.

A source puts events into the deployment's queue one by one; each answers its caller through `answer`, once.
"""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from engine.errors import EngineError
from engine.resource import Goal, PropertyMap, State

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What became of a registration. `failed` and `skipped` are told to programs that go on after errors."""

    state: State
    stables: tuple[str, ...] = ()
    failed: bool = False
    skipped: bool = False
    unknown: bool = False
    """It is not made in this operation: the program goes on, and its outputs are unknown."""


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
class ResourceImported:
    """The object that a registration imports has been read: now it is compared with what the program says."""

    event: RegisterResource
    state: State


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
    """Something failed or was cancelled: wakes the loop, so that it looks whether to go on."""


Event = RegisterResource | ReadResource | ResourceImported | RegisterOutputs | ProgramEnded | StepsEnded


def settle(answer: Future[T], result: T) -> None:
    """Answers who waits, unless that has been done: a step may end in the moment in which all who wait are sent off."""
    with suppress(InvalidStateError):
        answer.set_result(result)


def refuse(answer: Future[T], error: Exception) -> None:
    """Answers with an error, unless who waits has been answered."""
    with suppress(InvalidStateError):
        answer.set_exception(error)
