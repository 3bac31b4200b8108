"""`preview --save-plan FILE` and `up --plan FILE`: the file, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from engine.errors import StateError, UsageError
from engine.files import write_atomic
from engine.plan import Plan
from engine.plan_file import plan_from_dict, plan_to_dict
from engine.workspace import Stack

_SIGNS: Final = ("violates plan: ", "is not allowed by the plan: ", "expected resource operations for ")


def read_plan(stack: Stack) -> Plan | None:
    """The plan that `--plan` names; None without it. Raises UsageError, StateError and SecretsError."""
    name = stack.context.arguments.value("plan")
    if not name:
        return None
    path = _path(stack, name)
    try:
        body = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(
            f"there is no plan at {path}. Make one with `pulumi preview --save-plan {name}`, or leave --plan out"
        ) from None
    except OSError as error:
        raise StateError(f"cannot read the plan {path}: {error.strerror}") from error
    except ValueError as error:
        raise StateError(f"{name} is not an update plan: it is not JSON ({error})") from error
    plan = plan_from_dict(body, stack.manager, name)
    prefix = f"urn:pulumi:{stack.ref.name}::{stack.context.project.name}::"
    other = next((urn for urn in plan.resources if not urn.startswith(prefix)), None)
    if other is not None:
        raise UsageError(
            f"the plan {name} is not for the stack '{stack.ref.name}' of the project '{stack.context.project.name}': "
            f"it holds {other}"
        )
    return plan


def write_plan(stack: Stack, plan: Plan | None) -> None:
    """Writes what a preview decided to the file that `--save-plan` names; nothing without it. Raises StateError."""
    arguments = stack.context.arguments
    name = arguments.value("save-plan")
    if not name or plan is None:
        return
    had_salt = stack.manager.has_salt
    body = plan_to_dict(plan, stack.settings.stored(stack.context.project.name), stack.manager)
    if stack.manager.has_salt and not had_salt:
        # A stack without secrets may have had none: what is encrypted now has to be read again.
        stack.keep_salt()
    write_atomic(_path(stack, name), (json.dumps(body, indent=4) + "\n").encode("utf-8"))
    if not arguments.flag("json"):
        stack.context.say(
            f"Update plan written to '{name}'\n"
            f"Run `pulumi up --plan='{name}'` to constrain the update to the operations planned by this preview"
        )


def explain_violation(stack: Stack, messages: str) -> None:
    """Says how to read an update that its plan does not allow, and what to do; `messages` are its diagnostics."""
    name = stack.context.arguments.value("plan")
    if not name or stack.context.arguments.flag("json"):
        return
    if any(sign in messages for sign in _SIGNS):
        stack.context.say(
            f"\nThe plan '{name}' does not allow this. Of the two signs before a property, the first is what was "
            "planned and the second what would be done: + add, ~ change, - remove, = leave. If the change is meant, "
            f"make a new plan with `pulumi preview --save-plan '{name}'`."
        )


def _path(stack: Stack, name: str) -> Path:
    return stack.context.cwd / Path(name).expanduser()
