"""`stack change-secrets-provider passphrase`: everything that is secret of a stack, encrypted with a new passphrase."""

from __future__ import annotations

from typing import Any

from engine.config import plain
from engine.config_path import is_secure
from engine.errors import EngineError, UsageError
from engine.secrets import PassphraseManager, passphrase_from
from engine.workspace import Context, Stack

_NEW = "PULUMI_CONFIG_PASSPHRASE"


def change(context: Context) -> None:
    """Re-encrypts the state and the settings under the stack's lock. What has been kept of updates stays as it is."""
    _require_passphrase(context.arguments.argument(0))
    passphrase = _new_passphrase(context)
    with context.locked(context.stack().ref):
        stack = context.stack()
        stack.manager.verify()
        snapshot = stack.load()
        target = Stack(context, stack.ref)
        manager = PassphraseManager("", {**context.environment, _NEW: passphrase}, context.cwd)
        target.use(manager)
        values = {k: _moved(v, stack, manager, k) for k, v in stack.settings.stored(context.project.name).items()}
        target.settings.config = values
        target.settings.salt = manager.salt
        _write(stack, target, snapshot)
    context.say(
        f"The secrets of '{stack.ref.name}' are encrypted with the new passphrase: set PULUMI_CONFIG_PASSPHRASE to it, "
        "or the file that PULUMI_CONFIG_PASSPHRASE_FILE names. The histories of earlier updates keep the old one."
    )


def _write(stack: Stack, target: Stack, snapshot: Any) -> None:
    """Both or none: a state and settings of two passphrases could not be worked with by either."""
    target.save(snapshot, fresh=True)
    try:
        target.settings.save()
    except EngineError:
        stack.save(snapshot, fresh=True)
        raise


def _require_passphrase(name: str) -> None:
    if name not in {"passphrase", "default"}:
        raise UsageError(
            f"the secrets provider '{name}' is not served; this engine has 'passphrase' only: "
            "`pulumi stack change-secrets-provider passphrase`"
        )


def _new_passphrase(context: Context) -> str:
    """The new passphrase: asked for twice at a terminal, else the first line of the input."""
    # The present one is asked for first: without it, there is nothing to change.
    passphrase_from(context.environment, context.cwd)
    if not context.streams.interactive:
        line = context.streams.stdin.readline()
        if not line.strip():
            raise UsageError(
                "there is no new passphrase: give it as the first line of the input, and the present one in "
                "PULUMI_CONFIG_PASSPHRASE"
            )
        return line.rstrip("\r\n")
    first = context.ask_secret("Enter your new passphrase to protect config/secrets: ")
    if context.ask_secret("Re-enter your new passphrase to confirm: ") != first:
        raise UsageError("the two are not the same: nothing was done")
    return first


def _moved(stored: Any, stack: Stack, manager: PassphraseManager, key: str) -> Any:
    """A stored value with every secret in it encrypted anew."""
    if is_secure(stored):
        return {"secure": manager.encrypt(str(plain(stored, stack.manager, key)))}
    if isinstance(stored, dict):
        return {k: _moved(v, stack, manager, key) for k, v in stored.items()}
    return [_moved(v, stack, manager, key) for v in stored] if isinstance(stored, list) else stored
