"""`stack ...` and `cancel`: what is done to a stack as a whole. State edits and transfers are in `cli_state`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from engine.errors import EngineError, StackExistsError, StackNotFoundError, StateError, UsageError
from engine.locks import LockInfo
from engine.project import select_stack, selected_stack
from engine.resource import RESOURCE_SIG, SIG_KEY, STACK_TYPE, Secret, urn_name, urn_type
from engine.snapshot import Snapshot, outputs_of
from engine.stack_ref import ORGANIZATION, StackRef, check_stack_name
from engine.state_edit import renamed
from engine.workspace import Context, Stack, check_passphrase, check_secrets_provider


def init(context: Context) -> None:
    ref = _named(context)
    if context.backend.exists(ref):
        raise StackExistsError(f"stack '{ref}' already exists")
    create(context, ref)
    source = context.arguments.value("copy-config-from")
    if source:
        _copy_config(context, source, ref)
    if not context.arguments.flag("no-select"):
        select_stack(context.project, context.environment, ref.name)
    context.say(f"Created stack '{ref.name}'")


def create(context: Context, ref: StackRef) -> Stack:
    """Makes a stack with an empty state and a salt of its own."""
    check_secrets_provider(context.arguments.value("secrets-provider"))
    check_passphrase(context)
    stack = Stack(context, ref)
    if stack.settings.salt:
        # A settings file that was kept: its salt fits only its passphrase.
        stack.manager.verify()
    text, _, _ = stack.encode(Snapshot())
    with context.locked(ref):
        context.backend.create(ref, text)
    stack.keep_salt()
    return stack


def _copy_config(context: Context, source: str, ref: StackRef) -> None:
    old, new = context.stack(source), Stack(context, ref)
    if any(value.secret for value in old.config().values()):
        from engine.cli_config import copy_values

        copy_values(old, new, "")
        return
    new.settings.config = old.settings.config
    new.settings.save()


def _named(context: Context) -> StackRef:
    """The stack that an argument or --stack names; the selected one does not count."""
    name = context.arguments.argument(0) or context.arguments.value("stack")
    if not name and context.streams.interactive:
        name = context.ask("Please enter your desired stack name: ")
    if not name:
        raise UsageError("missing stack name")
    return context.ref(name)


def select(context: Context) -> None:
    ref = _named(context)
    if not context.backend.exists(ref):
        if not context.arguments.flag("create"):
            raise StackNotFoundError(f"no stack named '{ref.name}' found")
        create(context, ref)
    select_stack(context.project, context.environment, ref.name)


def unselect(context: Context) -> None:
    select_stack(context.project, context.environment, "")
    context.say("Stack was unselected")


def cancel(context: Context) -> None:
    stack = context.stack(context.arguments.argument(0))
    if context.streams.interactive and not context.arguments.flag("yes"):
        question = f"This will remove the locks of '{stack.ref.name}', whoever holds them. Type its name to go on: "
        if context.ask(question) != stack.ref.name:
            raise EngineError("confirmation declined: nothing was done")
    for lock in context.backend.locks(stack.ref).break_all():
        context.say(f"Removed the lock {lock.described}{_if_stale(lock)}")
    context.say(f"The currently running update for '{stack.ref.name}' has been canceled!")


def _if_stale(lock: LockInfo) -> str:
    return "; there is no such process any more" if lock.stale else ""


def show(context: Context) -> None:
    stack = context.stack()
    if context.arguments.flag("show-name"):
        context.say(stack.ref.name)
        return
    snapshot = stack.read()
    context.say(f"Current stack is {stack.ref.name}:")
    for lock in context.backend.locks(stack.ref).found():
        context.say(f"    Locked by a lock {lock.described}{_if_stale(lock)}")
    last = context.backend.last_update(stack.ref)
    if last is not None:
        context.say(f"    Last updated: {_time(last.get('endTime', 0))}")
    context.say(f"Current stack resources ({len(snapshot.resources)}):")
    for state in snapshot.resources:
        name = state.urn if context.arguments.flag("show-urns") else f"{urn_type(state.urn)}  {urn_name(state.urn)}"
        line = f"    {name}"
        context.say(f"{line}  {state.id}" if context.arguments.flag("show-ids") and state.id else line)
    outputs = outputs_of(snapshot) or {}
    if outputs:
        context.say("Current stack outputs:")
        for name, value in sorted(_shown(context, outputs).items()):
            context.say(f"    {name}  {value if isinstance(value, str) else json.dumps(value)}")


def _shown(context: Context, outputs: dict[str, Any]) -> dict[str, Any]:
    hide = not context.arguments.flag("show-secrets")
    return {name: _plain(value, hide=hide) for name, value in outputs.items()}


def _plain(value: Any, *, hide: bool) -> Any:
    """A value as JSON: a secret as `[secret]` or as what it holds, a resource reference as its URN or id."""
    if isinstance(value, Secret):
        return "[secret]" if hide else _plain(value.value, hide=hide)
    if isinstance(value, list):
        return [_plain(v, hide=hide) for v in value]
    if not isinstance(value, dict):
        return value
    if value.get(SIG_KEY) == RESOURCE_SIG:
        return value.get("id") or value.get("urn")
    return {k: _plain(v, hide=hide) for k, v in value.items()}


def ls(context: Context) -> None:
    arguments = context.arguments
    if arguments.value("organization") not in {"", ORGANIZATION}:
        raise UsageError(f"the organization of a file backend is '{ORGANIZATION}'")
    project = arguments.value("project")
    if not project and not arguments.flag("all"):
        project = context.project.name
    current = _current(context)
    found = [ref for ref in context.backend.stacks() if not project or ref.project == project]
    rows = [_row(context, ref, current) for ref in found if _has_tag(context, ref, arguments.value("tag"))]
    if arguments.flag("json"):
        context.say(json.dumps(rows, indent=2))
        return
    context.say(f"{'NAME':<28} {'LAST UPDATE':<24} RESOURCES")
    for row in rows:
        name = row["name"] + ("*" if row["current"] else "")
        context.say(f"{name:<28} {row.get('lastUpdate', 'n/a'):<24} {row.get('resourceCount', 'n/a')}")


def _has_tag(context: Context, ref: StackRef, wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    if not name:
        return True
    tags = context.backend.tags(ref)
    return name in tags and (not equals or tags[name] == value)


def _current(context: Context) -> StackRef | None:
    try:
        return StackRef(project=context.project.name, name=selected_stack(context.project, context.environment))
    except UsageError:
        return None


def _row(context: Context, ref: StackRef, current: StackRef | None) -> dict[str, Any]:
    qualified = current is None or ref.project != current.project or context.arguments.flag("fully-qualify-stack-names")
    row: dict[str, Any] = {"name": str(ref) if qualified else ref.name, "current": ref == current}
    last = context.backend.last_update(ref)
    if last is not None:
        row["lastUpdate"] = _time(last.get("endTime", 0))
    row["updateInProgress"] = False
    try:
        resources = context.backend.read(ref).get("resources") or []
    except StateError as error:
        # One damaged state must not hide the other stacks.
        context.streams.stderr.write(f"warning: {error}\n")
        return row
    if resources or last is not None:
        row["resourceCount"] = len(resources)
    return row


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def rm(context: Context) -> None:
    stack = context.stack(context.arguments.argument(0))
    name = stack.ref.name
    if not context.arguments.flag("yes"):
        if not context.streams.interactive:
            raise UsageError("--yes must be passed in to proceed when running in non-interactive mode")
        if context.ask(f"This will permanently remove the '{name}' stack! Type its name to go on: ") != name:
            raise EngineError("confirmation declined: nothing was done")
    arguments = context.arguments
    remove(
        stack,
        force=arguments.flag("force"),
        keep_config=arguments.flag("preserve-config"),
        backups=arguments.flag("remove-backups"),
    )
    context.say(f"Stack '{name}' has been removed!")


def remove(stack: Stack, *, force: bool = False, keep_config: bool = False, backups: bool = False) -> None:
    """Removes a stack under its lock. Raises EngineError where it has resources and `force` is not said."""
    context, name = stack.context, stack.ref.name
    with context.locked(stack.ref):
        resources = context.backend.read(stack.ref).get("resources") or []
        # A stack whose resources are gone may keep its own, empty one.
        if not force and any(not isinstance(r, dict) or r.get("type") != STACK_TYPE for r in resources):
            raise EngineError(
                f"'{name}' still has resources; removal rejected. Possible actions:\n"
                f"- Make sure that '{name}' is the stack that you want to destroy\n"
                "- Run `pulumi destroy` to delete the resources, then run `pulumi stack rm`\n"
                "- Run `pulumi stack rm --force` to override this error"
            )
        context.backend.remove(stack.ref, backups=backups)
    if not keep_config:
        stack.settings_path.unlink(missing_ok=True)
    if selected_stack(context.project, context.environment) == name:
        select_stack(context.project, context.environment, "")


def rename(context: Context) -> None:
    stack = context.stack()
    text = context.arguments.argument(0)
    check_stack_name(text.split("/")[-1])
    new = context.ref(text)
    if new.project != stack.ref.project:
        raise UsageError(f"a stack cannot move from project '{stack.ref.project}' to '{new.project}'")
    if context.backend.exists(new):
        raise StackExistsError(f"a stack named {new.name} already exists")
    with context.locked(stack.ref), context.locked(new):
        if context.backend.exists(new):
            raise StackExistsError(f"a stack named {new.name} already exists")
        snapshot = renamed(stack.load(), stack.ref.name, new.name)
        deployment, version, features = stack.encode(snapshot, fresh=True)
        context.backend.rename(stack.ref, new, deployment, version=version, features=features)
    old_path, new_path = stack.settings_path, context.project.stack_file(new.name)
    if old_path.exists() and not new_path.exists():
        old_path.replace(new_path)
    if selected_stack(context.project, context.environment) == stack.ref.name:
        select_stack(context.project, context.environment, new.name)
    context.say(f"Renamed {stack.ref.name} to {new.name}")


def output(context: Context) -> None:
    stack = context.stack()
    arguments = context.arguments
    outputs = _shown(context, stack.outputs())
    name = arguments.argument(0)
    if name:
        if name not in outputs:
            raise EngineError(f"current stack does not have output property '{name}'")
        outputs = {name: outputs[name]}
    if arguments.flag("json"):
        context.say(json.dumps(outputs[name] if name else outputs, indent=2))
    elif arguments.flag("shell"):
        for key, value in sorted(outputs.items()):
            context.say(f"{key}={_quoted(_text(value))}")
    elif name:
        context.say(_text(outputs[name]))
    elif not outputs:
        context.say("No output values currently in this stack")
    else:
        context.say("Current stack outputs:")
        for key, value in sorted(outputs.items()):
            context.say(f"    {key}  {_text(value)}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


def history(context: Context) -> None:
    stack = context.stack()
    arguments = context.arguments
    entries = list(context.backend.updates(stack.ref))
    size, page = arguments.integer("page-size", 10), arguments.integer("page", 1)
    if size < 1 or page < 1:
        raise UsageError("--page and --page-size are 1 or more")
    # Without either, the Automation API expects everything.
    if arguments.value("page-size") or arguments.value("page"):
        entries = entries[(page - 1) * size : page * size]
    rows = [_history_row(stack, entry, show=arguments.flag("show-secrets")) for entry in entries]
    if arguments.flag("json"):
        context.say(json.dumps(rows, indent=2))
        return
    for row in rows:
        changes = " ".join(f"{op}:{count}" for op, count in row.get("resourceChanges", {}).items())
        context.say(f"{row['startTime']}  {row['kind']:<8} {row['result']:<10} {changes}  {row['message']}".rstrip())


def _history_row(stack: Stack, entry: dict[str, Any], *, show: bool) -> dict[str, Any]:
    from engine.config import revealed

    config: dict[str, Any] = {}
    for key, stored in (entry.get("config") or {}).items():
        if isinstance(stored, dict) and "secure" in stored and not show:
            config[key] = {"secret": True}
        else:
            config[key] = revealed(stored, stack.manager, key).to_json(show=show)
    row = {
        "kind": entry["kind"],
        "startTime": _time(entry["startTime"]),
        "message": entry.get("message", ""),
        "environment": entry.get("environment") or {},
        "config": config,
        "result": entry["result"],
        "version": entry.get("version", 0),
        "endTime": _time(entry["endTime"]),
    }
    if entry.get("resourceChanges"):
        row["resourceChanges"] = entry["resourceChanges"]
    return row
