"""`stack export|import|tag` and `state ...`: the state as data, and the edits that are not updates."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from engine.checkpoint import LATEST, VERSION
from engine.errors import EngineError, StateError, UsageError
from engine.files import write_atomic
from engine.snapshot import Snapshot, verify
from engine.state_edit import forget, set_protection, set_taint
from engine.workspace import Context, Stack


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
    context.backend.set_tags(stack.ref, {**context.backend.tags(stack.ref), name: value})


def tag_rm(context: Context) -> None:
    stack = context.stack()
    found = context.backend.tags(stack.ref)
    if found.pop(context.arguments.argument(0), None) is not None:
        context.backend.set_tags(stack.ref, found)


# ------------------------------------------------------------------ state


def unprotect(context: Context) -> None:
    everything = context.arguments.flag("all")
    count = _protection(context, protect=False)
    context.say("All resources unprotected" if everything else f"{count} resources unprotected")


def protect(context: Context) -> None:
    everything = context.arguments.flag("all")
    count = _protection(context, protect=True)
    context.say("All resources protected" if everything else f"{count} resources protected")


def _protection(context: Context, *, protect: bool) -> int:
    urn = context.arguments.argument(0)
    if bool(urn) == context.arguments.flag("all"):
        raise UsageError("name one URN, or --all")

    def edit(snapshot: Snapshot) -> tuple[Snapshot, int]:
        urns = [urn] if urn else [state.urn for state in snapshot.resources]
        return snapshot, set_protection(snapshot, urns, protect=protect)

    return _edited(context, edit)


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
    urn = context.arguments.argument(0)
    force, dependents = context.arguments.flag("force"), context.arguments.flag("target-dependents")
    _edited(context, lambda snapshot: (forget(snapshot, urn, force=force, dependents=dependents), 1))
    context.say("Resource deleted")


def _edited(context: Context, edit: Callable[[Snapshot], tuple[Snapshot, int]]) -> int:
    """Reads, edits and writes the state under the stack's lock."""
    stack = context.stack()
    if context.streams.interactive and not context.arguments.flag("yes"):
        answer = context.ask("This command will edit your stack's state directly. Confirm? (yes/no) ")
        if answer != "yes":
            raise EngineError("confirmation declined: nothing was done")
    with context.locked(stack.ref):
        snapshot, count = edit(stack.load())
        verify(snapshot)
        stack.save(snapshot, fresh=True)
    return count
