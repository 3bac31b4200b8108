"""Resource hooks and error hooks: the program's code before and after a create, an update or a delete, and on an error.

Which hooks a resource has is in its state, by name; what they are the program says anew each time. An error of a hook
before fails the step, one of a hook after fails the deployment; an error hook says whether the provider is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from engine.callbacks import Callback, Callbacks
from engine.errors import CallbackError, EngineError, HookError, UsageError
from engine.resource import PropertyMap, State, to_struct, urn_name
from engine.rpc import resource_pb2

Diagnose = Callable[[str, str, str], None]
"""(severity, urn, message)"""
Moment = Literal["Before", "After"]
Action = Literal["Create", "Update", "Delete"]
T = TypeVar("T")
Request = Any

#: How often an error hook may ask for another try, as in the stock engine.
MAX_TRIES: Final = 100
#: The hooks of a resource by kind: (name in the state, field of ResourceHooksBinding).
KINDS: Final = (
    ("BeforeCreate", "before_create"),
    ("AfterCreate", "after_create"),
    ("BeforeUpdate", "before_update"),
    ("AfterUpdate", "after_update"),
    ("BeforeDelete", "before_delete"),
    ("AfterDelete", "after_delete"),
    ("OnError", "on_error"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookPoint:
    """What hooks are told of a step; the state of the resource names them. None is a value that there is not."""

    action: Action
    state: State
    id: str
    new_inputs: PropertyMap | None = None
    old_inputs: PropertyMap | None = None
    new_outputs: PropertyMap | None = None
    """Told to hooks after the step only."""
    old_outputs: PropertyMap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hook:
    callback: Callback
    on_dry_run: bool
    ignore_errors: bool


class Hooks:
    """The hooks that the program of one operation has registered. Used from any thread."""

    def __init__(
        self, callbacks: Callbacks, diagnose: Diagnose, *, preview: bool, stopping: Callable[[], bool]
    ) -> None:
        self._callbacks = callbacks
        self._diagnose = diagnose
        self._preview = preview
        self._stopping = stopping
        self._hooks: dict[str, _Hook] = {}
        self._error_hooks: dict[str, Callback] = {}

    # -------------------------------------------------------- registration

    def register(self, request: Request) -> None:
        """A RegisterResourceHookRequest. Raises UsageError for a name that is taken, or none."""
        _require_free(request.name, self._hooks, "resource hook")
        self._hooks[request.name] = _Hook(
            callback=Callback(request.callback.target, request.callback.token),
            on_dry_run=request.on_dry_run,
            ignore_errors=request.ignore_errors,
        )

    def register_error(self, request: Request) -> None:
        """A RegisterErrorHookRequest. Raises UsageError for a name that is taken, or none."""
        _require_free(request.name, self._error_hooks, "error hook")
        self._error_hooks[request.name] = Callback(request.callback.target, request.callback.token)

    # -------------------------------------------------------- around steps

    def run(self, moment: Moment, point: HookPoint | None) -> None:
        """The hooks before or after a step, one after another. Raises HookError at the first that fails."""
        if point is None:
            return
        for name in point.state.resource_hooks.get(moment + point.action, ()):
            hook = self._hooks.get(name)
            if hook is None:
                raise HookError(
                    f'resource hook not registered for {name}: the program must register the hook "{name}" of '
                    f"{point.state.urn} in every run, and before anything is deleted"
                )
            if not self._preview or hook.on_dry_run:
                self._run(moment, name, hook, point)

    def _run(self, moment: Moment, name: str, hook: _Hook, point: HookPoint) -> None:
        try:
            answer = self._callbacks.invoke(hook.callback, _hook_request(moment, point))
            error = resource_pb2.ResourceHookResponse.FromString(answer).error
        except CallbackError as failure:
            error = str(failure)
        if not error:
            return
        message = f'{moment.lower()} hook "{name}" failed: {error}'
        if not hook.ignore_errors:
            raise HookError(message)
        self._diagnose("warning", point.state.urn, message)

    def retried(self, point: HookPoint | None, operation: Callable[[], T]) -> T:
        """What the operation gives, tried again as long as it fails and an error hook asks for it."""
        names = () if point is None else point.state.resource_hooks.get("OnError", ())
        if point is None or not names or self._preview:
            return operation()
        failures: list[str] = []
        while True:
            try:
                return operation()
            except EngineError as error:
                failures.insert(0, str(error))
                if not self._again(names, point, failures):
                    raise

    def _again(self, names: Iterable[str], point: HookPoint, failures: list[str]) -> bool:
        urn = point.state.urn
        if len(failures) >= MAX_TRIES:
            self._diagnose("warning", urn, f"maximum number of error hook retries reached ({MAX_TRIES})")
            return False
        wanted = [self._wants_again(name, point, failures) for name in names]
        if not any(wanted) or self._stopping():
            return False
        action = point.action.lower()
        self._diagnose("warning", urn, f"retrying {action} due to on-error hook request ({len(failures)}/{MAX_TRIES})")
        return True

    def _wants_again(self, name: str, point: HookPoint, failures: list[str]) -> bool:
        # What the provider said is the error of the step, whatever becomes of the hook: that is told beside it.
        callback = self._error_hooks.get(name)
        if callback is None:
            self._diagnose("error", point.state.urn, f"error hook not registered for {name}")
            return False
        try:
            answer = self._callbacks.invoke(callback, _error_hook_request(point, failures))
            response = resource_pb2.ErrorHookResponse.FromString(answer)
            error = response.error
        except CallbackError as failure:
            error = str(failure)
        if error:
            self._diagnose("error", point.state.urn, f'error hook "{name}" failed: {error}')
        return not error and bool(response.retry)


def hooks_of(binding: Any) -> dict[str, list[str]]:
    """The hooks of a ResourceHooksBinding as the state names them."""
    found = {kind: list(getattr(binding, field)) for kind, field in KINDS}
    return {kind: names for kind, names in found.items() if names}


def delete_hooks(states: Iterable[State]) -> list[tuple[str, list[str]]]:
    """(URN, names) of the hooks that a delete of the states would have to run."""
    found = [
        (s.urn, [*s.resource_hooks.get("BeforeDelete", ()), *s.resource_hooks.get("AfterDelete", ())]) for s in states
    ]
    return [(urn, names) for urn, names in found if names]


def _require_free(name: str, registered: Iterable[str], what: str) -> None:
    if not name:
        raise UsageError(f"{what} name cannot be empty")
    if name in registered:
        raise UsageError(f'{what} already registered for name "{name}"')


def _hook_request(moment: Moment, point: HookPoint) -> bytes:
    state = point.state
    request = resource_pb2.ResourceHookRequest(
        urn=state.urn,
        id=point.id,
        name=urn_name(state.urn),
        type=state.type,
        new_inputs=_struct(point.new_inputs),
        old_inputs=_struct(point.old_inputs),
        new_outputs=_struct(point.new_outputs if moment == "After" else None),
        old_outputs=_struct(point.old_outputs),
    )
    return request.SerializeToString()


def _error_hook_request(point: HookPoint, failures: list[str]) -> bytes:
    state = point.state
    request = resource_pb2.ErrorHookRequest(
        urn=state.urn,
        id=point.id,
        name=urn_name(state.urn),
        type=state.type,
        new_inputs=_struct(point.new_inputs),
        old_inputs=_struct(point.old_inputs),
        old_outputs=_struct(point.old_outputs),
        failed_operation=point.action.lower(),
        errors=failures,
    )
    return request.SerializeToString()


def _struct(properties: PropertyMap | None) -> Any:
    """Properties for a hook, secrets as such; None stays nothing."""
    return None if properties is None else to_struct(properties)
