"""The engine's error tree. A message says which object, why, and what to do; it never holds a secret.

EngineError                    anything that ends a command with exit code 1
├── UsageError                 words of the command line that are not served
├── StackNotFoundError         no stack of that name in the backend
├── StackExistsError           a stack of that name is there already
├── StackLockedError           somebody else's update is running
├── StateError                 a checkpoint that cannot be read, or is not valid
│   └── LockLostError          somebody has removed the lock of a running update
├── SecretsError               a passphrase that is missing or does not fit
├── PluginError                a provider plugin that cannot be found or started, or that broke
│   └── ProviderCallError      a provider's answer to one call was an error
├── ResourceError              one resource cannot be what the program asks for
│   └── ProtectedError         a protected resource was to be deleted
├── ProgramError               the program failed; its own message has been shown
├── RequestError               a program's request cannot be read; only the program is told
├── CallbackError              a function of the program that the engine called could not be called, or raised
├── HookError                  a hook of the program failed, or is none of this program
├── NoChangesExpectedError     --expect-no-changes, and there were some (exit code 7)
└── BailError                  everything has been said as diagnostics: nothing more to print
"""

from __future__ import annotations

from collections.abc import Sequence


class EngineError(Exception):
    """Something the reader can act upon. `exit_code` is what the command returns."""

    exit_code = 1


class UsageError(EngineError):
    """A word or an option that is not understood or not served."""


class StackNotFoundError(EngineError):
    """There is no such stack in this backend."""


class StackExistsError(EngineError):
    """A stack with this name is there already."""


class StackLockedError(EngineError):
    """Another update of the stack is running, or one was killed and left its lock.

    `hint` is what else is known of the holders, empty where nothing is.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class StateError(EngineError):
    """A checkpoint that cannot be read, written or trusted."""


class LockLostError(StateError):
    """The lock under which the state was worked on is gone: nothing more may be written."""


class SecretsError(EngineError):
    """The passphrase is missing, or does not fit what is stored."""


class PluginError(EngineError):
    """A provider plugin cannot be found, started or spoken to."""


class ProviderCallError(PluginError):
    """A provider answered one call with an error."""


def one_per_line(reasons: Sequence[str]) -> str:
    """Several reasons as the stock engine lists them."""
    lines = "".join(f"\n\t* {reason}" for reason in reasons)
    plural = "error" if len(reasons) == 1 else "errors"
    return f"{len(reasons)} {plural} occurred:{lines}\n\n"


class InitFailedError(ProviderCallError):
    """The object exists but did not become ready; what is known of it comes along.

    `object_id`, `outputs` and `inputs` are what the provider reported; `reasons` are sentences.
    """

    def __init__(
        self,
        reasons: Sequence[str],
        object_id: str,
        outputs: dict[str, object],
        inputs: dict[str, object] | None,
        *,
        refresh_before_update: bool = False,
    ) -> None:
        super().__init__(one_per_line(reasons))
        self.reasons = tuple(reasons)
        self.object_id = object_id
        self.outputs = outputs
        self.inputs = inputs
        self.refresh_before_update = refresh_before_update


class ResourceError(EngineError):
    """One resource cannot be what the program asks for; `urn` says which."""

    def __init__(self, urn: str, message: str) -> None:
        super().__init__(message)
        self.urn = urn


class ProtectedError(ResourceError):
    """A protected resource was to be deleted. Whatever does not need it goes all the same."""


class ProgramError(EngineError):
    """The program ended with an error; `shown` is true when it has printed it itself."""

    def __init__(self, message: str, *, shown: bool) -> None:
        super().__init__(message)
        self.shown = shown


class RequestError(EngineError):
    """A request of the program names something that cannot be: not a URN, not a type. Only the program is told."""


class CallbackError(EngineError):
    """A call into the program failed. `code` is the status as Go names it, `details` what was said with it."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {details}")
        self.code = code
        self.details = details


class HookError(EngineError):
    """A hook of a resource failed, or the program has registered none of its name."""


class NoChangesExpectedError(EngineError):
    """Changes where `--expect-no-changes` promised none."""

    exit_code = 7


class BailError(EngineError):
    """The command failed and every reason has been shown as a diagnostic."""
