"""`stack export|import|tag` and `state ...`: the state as data, and the edits that are not updates."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from engine.checkpoint import LATEST, VERSION
from engine.errors import EngineError, StateError, UsageError
from engine.files import write_atomic
from engine.resource import State
from engine.snapshot import Snapshot, verify
from engine.state_edit import Choose, forget, forget_all, rename_resource, set_protection, set_taint
from engine.state_repair import manual_advice, repaired
from engine.workspace import Context, Stack

_TAG_NAME: Final = re.compile(r"[a-zA-Z0-9_.:-]+")
_TAG_NAME_LENGTH: Final = 40
_TAG_VALUE_LENGTH: Final = 256


def export(context: Context) -> None:
    stack = context.stack()
    if context.arguments.flag("show-secrets"):
        snapshot = stack.read()
        deployment = stack.codec.to_dict(snapshot, show_secrets=True)
    else:
        # As it is, so that a state that cannot be worked on can be taken out and mended.
        deployment = context.backend.read(stack.ref)
    body = {"version": VERSION, "deployment": deployment}
    text = json.dumps(body, indent=4, ensure_ascii=False)
    name = context.arguments.value("file")
    if name:
        write_atomic(context.cwd / name, (text + "\n").encode("utf-8"))
    else:
        context.say(text)


def import_(context: Context) -> None:
    stack = context.stack()
    snapshot = _imported(context, stack)
    problems = _problems(snapshot, stack)
    if problems and not context.arguments.flag("force"):
        problems.append("importing this file could be dangerous; rerun with --force to proceed anyway")
        lines = "\n".join(f"    {number}) {problem}" for number, problem in enumerate(problems, 1))
        raise StateError(f"{len(problems)} errors occurred:\n{lines}")
    # What was under way elsewhere is not under way here.
    snapshot.pending = []
    with context.locked(stack.ref):
        stack.save(snapshot, fresh=True)
    context.say("Import complete.")


def _imported(context: Context, stack: Stack) -> Snapshot:
    name = context.arguments.value("file")
    try:
        text = (context.cwd / name).read_text(encoding="utf-8") if name else context.streams.stdin.read()
        body: Any = json.loads(text)
    except OSError as error:
        raise UsageError(f"could not open file {name}: {error.strerror}") from error
    except ValueError as error:
        raise StateError(f"could not read the deployment: it is not JSON ({error})") from error
    if not isinstance(body, dict) or not isinstance(body.get("deployment"), dict):
        raise StateError("could not read the deployment: there is no 'deployment' in it")
    if body.get("version") not in {None, VERSION, LATEST}:
        raise StateError(f"the deployment is of version {body['version']}; this engine reads 3 and 4")
    return stack.decode(body["deployment"])


def _problems(snapshot: Snapshot, stack: Stack) -> list[str]:
    problems = []
    prefix = f"urn:pulumi:{stack.ref.name}::"
    for state in snapshot.resources:
        if not state.urn.startswith(prefix):
            other = state.urn.removeprefix("urn:pulumi:").partition("::")[0]
            problems.append(f"resource '{state.urn}' is from a different stack ({other} != {stack.ref.name})")
    try:
        verify(snapshot)
    except EngineError as error:
        problems.append(f"state file contains errors: {error}")
    return problems


# ------------------------------------------------------------------ tags


def tags(context: Context) -> None:
    found = context.backend.tags(context.stack().ref)
    if context.arguments.flag("json"):
        context.say(json.dumps(found, indent=2))
        return
    context.say(f"{'NAME':<28} VALUE")
    for name, value in sorted(found.items()):
        context.say(f"{name:<28} {value}")


def tag_get(context: Context) -> None:
    name = context.arguments.argument(0)
    stack = context.stack()
    found = context.backend.tags(stack.ref)
    if name not in found:
        raise EngineError(f"stack tag '{name}' not found for stack '{stack.ref.name}'")
    context.say(found[name])


def tag_set(context: Context) -> None:
    stack = context.stack()
    name, value = context.arguments.positional
    _check_tag(name, value)
    context.backend.set_tags(stack.ref, {**context.backend.tags(stack.ref), name: value})


def _check_tag(name: str, value: str) -> None:
    """Raises UsageError for a tag that the stock Pulumi would refuse."""
    if not name:
        raise UsageError("invalid stack tag: its name is empty")
    if not _TAG_NAME.fullmatch(name):
        raise UsageError(
            f'stack tag "{name}": stack tag names may only contain alphanumerics, hyphens, underscores, periods, or '
            "colons"
        )
    if len(name) > _TAG_NAME_LENGTH:
        raise UsageError(f'stack tag "{name}" is too long (max length {_TAG_NAME_LENGTH} characters)')
    if len(value) > _TAG_VALUE_LENGTH:
        raise UsageError(f'stack tag "{name}" value is too long (max length {_TAG_VALUE_LENGTH} characters)')


def tag_rm(context: Context) -> None:
    stack = context.stack()
    found = context.backend.tags(stack.ref)
    if found.pop(context.arguments.argument(0), None) is not None:
        context.backend.set_tags(stack.ref, found)


# ------------------------------------------------------------------ state

_CONFIRM = "This command will edit your stack's state directly. Confirm?"
_PROTECT = (
    "This will protect by modifying the stack state directly.\n"
    "If your program does not also set the 'protect' resource option, Pulumi will unprotect the\n"
    "resource the next time your program runs (e.g. as part of a `pulumi up`)\nConfirm?"
)


def unprotect(context: Context) -> None:
    urns = _urns_or_all(context)
    count = _edited(context, lambda snapshot: (snapshot, set_protection(snapshot, urns, protect=False)))
    context.say("All resources unprotected" if urns is None else f"{count} resources unprotected")


def protect(context: Context) -> None:
    urns = _urns_or_all(context)
    edit: Edit[int] = lambda snapshot: (snapshot, set_protection(snapshot, urns, protect=True))  # noqa: E731
    count = _edited(context, edit, question=_PROTECT)
    context.say("All resources protected" if urns is None else f"{count} resources protected")


def _urns_or_all(context: Context) -> list[str] | None:
    """The URNs that are named, None for all. Raises UsageError."""
    urns, everything = context.arguments.positional, context.arguments.flag("all")
    if bool(urns) == everything:
        raise UsageError("name the URNs of the resources, or --all; `pulumi stack --show-urns` lists them")
    return None if everything else list(urns)


def taint(context: Context) -> None:
    urns = context.arguments.positional
    if not urns:
        raise UsageError("name the URNs of the resources to replace; `pulumi stack --show-urns` lists them")
    count = _edited(context, lambda snapshot: (snapshot, set_taint(snapshot, urns, taint=True)))
    context.say(f"{count} resources tainted")


def untaint(context: Context) -> None:
    urns, everything = context.arguments.positional, context.arguments.flag("all")
    if bool(urns) == everything:
        raise UsageError("name the URNs of the resources, or --all")
    chosen = None if everything else urns
    count = _edited(context, lambda snapshot: (snapshot, set_taint(snapshot, chosen, taint=False)))
    context.say("All resources untainted" if everything else f"{count} resources untainted")


def state_delete(context: Context) -> None:
    urn, everything = context.arguments.argument(0), context.arguments.flag("all")
    force, dependents = context.arguments.flag("force"), context.arguments.flag("target-dependents")
    if everything and urn:
        raise UsageError("cannot specify a resource URN when deleting all resources")
    if not everything and not urn:
        raise UsageError("name the URN of the resource, or --all; `pulumi stack --show-urns` lists them")

    def edit(snapshot: Snapshot) -> tuple[Snapshot, list[State]]:
        if everything:
            return forget_all(snapshot, force=force)
        return forget(snapshot, urn, force=force, dependents=dependents, choose=_chooser(context))

    for state in _edited(context, edit):
        context.warn(f"deleting protected resource {state.urn} due to presence of --force")
    context.say("Resources deleted" if everything else "Resource deleted")


def _chooser(context: Context) -> Choose:
    """Asks which of several resources with one URN is meant, where there is somebody to ask."""

    def choose(states: Sequence[State]) -> State | None:
        if not context.streams.interactive:
            return None
        context.say("Multiple resources with the given URN exist, please select the one to edit:")
        for number, state in enumerate(states, 1):
            marks = (" (Protected)" if state.protect else "") + (" (Pending Deletion)" if state.delete else "")
            context.say(f'  {number}: "{state.id}"{marks}')
        answer = context.ask("Its number: ")
        if not answer.isdecimal() or not 1 <= int(answer) <= len(states):
            raise EngineError("no resource selected")
        return states[int(answer) - 1]

    return choose


def state_rename(context: Context) -> None:
    urn, name = context.arguments.positional
    _edited(context, lambda snapshot: (rename_resource(snapshot, urn, name), None))
    context.say("Resource renamed")


def state_repair(context: Context) -> None:
    stack = context.stack()
    with context.locked(stack.ref):
        snapshot = stack.read()
        try:
            verify(snapshot)
        except EngineError as first:
            try:
                repair = repaired(snapshot)
            except EngineError as second:
                raise StateError(manual_advice(first, second)) from first
        else:
            context.say("The snapshot is already valid; skipping repair")
            return
        if not context.arguments.flag("yes"):
            context.say(repair.described())
            if not context.streams.interactive:
                raise UsageError("--yes must be passed in to proceed when running in non-interactive mode")
            if context.ask(f"{_CONFIRM} (yes/no) ") != "yes":
                context.say("Confirmation denied, not proceeding with state repair")
                return
        stack.save(repair.snapshot, fresh=True)
    context.say("State repaired successfully")


T = TypeVar("T")
Edit = Callable[[Snapshot], tuple[Snapshot, T]]


def _edited(context: Context, edit: Edit[T], *, question: str = _CONFIRM) -> T:
    """Reads, edits and writes the state under the stack's lock; what the edit has to tell. Valid before and after."""
    stack = context.stack()
    if context.streams.interactive and not context.arguments.flag("yes"):
        answer = context.ask(f"{question} (yes/no) ")
        if answer != "yes":
            raise EngineError("confirmation declined: nothing was done")
    with context.locked(stack.ref):
        snapshot, told = edit(stack.load())
        verify(snapshot)
        stack.save(snapshot, fresh=True)
    return told
