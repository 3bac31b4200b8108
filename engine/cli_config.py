"""`config ...`: reads and edits a stack's settings file. A secret is never printed unless it is asked for."""

from __future__ import annotations

import json
from typing import Any

from engine.config import ConfigValue, StackSettings, lookup, plain, project_defaults, revealed, split_key, to_store
from engine.config_path import contains_secure, is_secure
from engine.errors import EngineError, UsageError
from engine.workspace import Context, Stack


def show(context: Context) -> None:
    stack = context.stack()
    reveal_all = context.arguments.flag("show-secrets")
    values = _values(stack, show=reveal_all)
    if context.arguments.flag("json"):
        body = {key: value.to_json(show=reveal_all) for key, value in sorted(values.items())}
        context.say(json.dumps(body, indent=2))
        return
    prefix = f"{context.project.name}:"
    context.say(f"{'KEY':<28} VALUE")
    for key, value in sorted(values.items()):
        text = value.text if reveal_all or not value.secret else "[secret]"
        context.say(f"{key.removeprefix(prefix):<28} {text}")


def _values(stack: Stack, *, show: bool) -> dict[str, ConfigValue]:
    """Configuration with what Pulumi.yaml says, without the key where no secret is shown."""
    if show:
        return stack.config()
    project = stack.context.project
    defaults, secret, _ = project_defaults(project)
    values = {}
    for key, stored in {**defaults, **stack.settings.stored(project.name)}.items():
        if contains_secure(stored) or key in secret:
            values[key] = ConfigValue(text="", secret=True)
        else:
            values[key] = revealed(stored, stack.manager, key)
    return values


def get(context: Context) -> None:
    stack = context.stack()
    name = context.arguments.argument(0)
    project = context.project
    key, parts = split_key(name, project.name, path=context.arguments.flag("path"))
    defaults, secret, _ = project_defaults(project)
    found, stored = lookup({**defaults, **stack.settings.stored(project.name)}, key, parts)
    if not found:
        raise EngineError(f"configuration key '{name}' not found for stack '{stack.ref.name}'")
    value = revealed(stored, stack.manager, key)
    if context.arguments.flag("json"):
        body = ConfigValue(text=value.text, secret=value.secret or key in secret, data=value.data).to_json(show=True)
        context.say(json.dumps({"name": key, **body}, indent=2))
    else:
        context.say(value.text)


def set_(context: Context) -> None:
    stack = context.stack()
    arguments = context.arguments
    if arguments.flag("secret") and arguments.flag("plaintext"):
        raise UsageError("--secret and --plaintext cannot be said both")
    if len(arguments.positional) > 1:
        text = arguments.argument(1)
    elif context.streams.interactive:
        text = context.ask_secret("value: ") if arguments.flag("secret") else context.ask("value: ")
    else:
        text = context.streams.stdin.read().removesuffix("\n")
    path = arguments.flag("path")
    key, parts = split_key(arguments.argument(0), context.project.name, path=path)
    if arguments.value("type"):
        value = _converted(text, arguments.value("type"), secret=arguments.flag("secret"))
    else:
        value = _store(stack, text, secret=arguments.flag("secret"), path=bool(parts))
    stack.settings.set(key, parts, value, context.project.name)
    stack.settings.save()


def _store(stack: Stack, text: str, *, secret: bool, path: bool) -> Any:
    if secret:
        stack.keep_salt()
    return to_store(text, secret=secret, path=path, cipher=stack.manager)


def _converted(text: str, kind: str, *, secret: bool) -> Any:
    if secret:
        raise UsageError("--type is for plain values: a secret is a text")
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        raise UsageError(f"'{text}' is not of type {kind}") from None
    if kind == "bool" and text in {"true", "false"}:
        return text == "true"
    if kind == "string":
        return text
    raise UsageError(f"'{text}' is not of type {kind} (one of string, int, float, bool)")


def set_all(context: Context) -> None:
    stack = context.stack()
    path = context.arguments.flag("path")
    for option, text in context.arguments.order:
        if option == "json":
            _set_json(stack, text)
        elif option in {"secret", "plaintext"}:
            set_pair(stack, text, secret=option == "secret", path=path)
    stack.settings.save()


def set_pair(stack: Stack, text: str, *, secret: bool, path: bool) -> None:
    """Sets `key=value` in the settings, without saving them."""
    name, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"'{name}': configuration is set as KEY=VALUE")
    key, parts = split_key(name, stack.context.project.name, path=path)
    stack.settings.set(key, parts, _store(stack, value, secret=secret, path=bool(parts)), stack.context.project.name)


def _set_json(stack: Stack, text: str) -> None:
    """Sets what `config --json` prints."""
    try:
        body = json.loads(text)
    except ValueError as error:
        raise UsageError(f"could not parse --json input: {error}") from error
    if not isinstance(body, dict):
        raise UsageError("could not parse --json input: it should be an object of keys")
    for name, given in body.items():
        if not isinstance(given, dict):
            raise UsageError(f"could not parse --json input: '{name}' should be an object with value and secret")
        if given.get("secret") and not isinstance(given.get("value"), str):
            raise UsageError(f"could not parse --json input: the secret '{name}' has no value")
        key, _ = split_key(name, stack.context.project.name, path=False)
        if given.get("secret"):
            value = _store(stack, given["value"], secret=True, path=False)
        else:
            value = given["objectValue"] if given.get("objectValue") is not None else given.get("value", "")
        stack.settings.set(key, [], value, stack.context.project.name)


def rm(context: Context) -> None:
    stack = context.stack()
    for name in context.arguments.positional:
        key, parts = split_key(name, context.project.name, path=context.arguments.flag("path"))
        stack.settings.remove(key, parts, context.project.name)
    stack.settings.save()


def cp(context: Context) -> None:
    name = context.arguments.value("dest")
    if not name:
        raise UsageError("--dest names the stack to copy to")
    copy_values(context.stack(), context.stack(name), context.arguments.argument(0))


def copy_values(source: Stack, target: Stack, name: str) -> None:
    """Copies one value, or all; secrets are encrypted again for the other stack."""
    project = source.context.project.name
    stored = source.settings.stored(project)
    if name:
        key, _ = split_key(name, project, path=False)
        if key not in stored:
            raise EngineError(f"configuration key '{name}' not found for stack '{source.ref.name}'")
        stored = {key: stored[key]}
    for key, value in stored.items():
        target.settings.set(key, [], _recrypted(value, source, target, key), project)
    target.settings.save()


def _recrypted(value: Any, source: Stack, target: Stack, key: str) -> Any:
    if is_secure(value):
        return _store(target, plain(value, source.manager, key), secret=True, path=False)
    if isinstance(value, dict):
        return {k: _recrypted(v, source, target, key) for k, v in value.items()}
    if isinstance(value, list):
        return [_recrypted(v, source, target, key) for v in value]
    return value


def refresh(context: Context) -> None:
    """Takes the configuration of the last update; refused where the file differs, unless forced."""
    stack = context.stack()
    last = context.backend.last_update(stack.ref)
    if last is None:
        raise EngineError(f"no previous deployment of stack '{stack.ref.name}' exists")
    project = context.project.name
    before = stack.settings.stored(project)
    if before and before != last.get("config") and not context.arguments.flag("force"):
        raise EngineError(
            f"config file '{stack.settings_path}' has changes that would be lost; rerun with --force to take the last "
            "update's configuration"
        )
    settings: StackSettings = stack.settings
    settings.config = last.get("config") or {}
    settings.save()
    context.say(f"refreshed configuration for stack '{stack.ref.name}'")
