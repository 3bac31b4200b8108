"""The command line as Pulumi writes it: options anywhere, `--name=value` or `--name value`, `--` ends them. Pure.

What is not in `commands.COMMANDS` is refused by name, so that nothing is silently ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.errors import UsageError

FLAG: Final = "flag"
VALUE: Final = "value"
MANY: Final = "many"


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `refused` says why it is known but not served."""

    name: str
    kind: str = FLAG
    short: str = ""
    help: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words, its options, how many arguments it takes, and `module:function` that runs it."""

    words: tuple[str, ...]
    handler: str
    help: str
    options: tuple[Option, ...] = ()
    arguments: tuple[int, int] = (0, 0)
    usage: str = ""
    refused: str = ""

    @property
    def name(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """A parsed command line."""

    command: Command
    positional: tuple[str, ...] = ()
    flags: Mapping[str, bool] = field(default_factory=dict)
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    order: tuple[tuple[str, str], ...] = ()
    """Options with values in the order they came, for those whose order says something (`config set-all`)."""

    def flag(self, name: str, *, default: bool = False) -> bool:
        return self.flags.get(name, default)

    def value(self, name: str, default: str = "") -> str:
        given = self.values.get(name)
        return given[-1] if given else default

    def many(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    def integer(self, name: str, default: int) -> int:
        text = self.value(name)
        if not text:
            return default
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"--{name} should be a whole number, not '{text}'") from None

    def argument(self, index: int) -> str:
        return self.positional[index] if index < len(self.positional) else ""


def parse(words: Sequence[str], commands: Mapping[tuple[str, ...], Command], common: Sequence[Option]) -> Arguments:
    """The command and its options. Raises UsageError for words that are not served, with their names."""
    command, rest = _find_command(words, commands, common)
    if command.refused:
        raise UsageError(f"'pulumi {command.name}' is not served: {command.refused}")
    options = {o.name: o for o in (*common, *command.options)}
    shorts = {o.short: o for o in options.values() if o.short}
    state = _State(command, options, shorts)
    state.run(rest)
    if state.flags.get("help"):
        return state.arguments()
    low, high = command.arguments
    if state.positional and not high:
        where = f"pulumi {command.name}".rstrip()
        raise UsageError(
            f'unknown command "{state.positional[0]}" for "{where}". `{where} --help` lists what is served.'
        )
    if not low <= len(state.positional) <= high:
        wanted = f"{low}" if low == high else f"{low} to {high}"
        raise UsageError(
            f"'pulumi {command.name}' takes {wanted} argument(s), and {len(state.positional)} were given: "
            f"pulumi {command.name} {command.usage}".rstrip()
        )
    return state.arguments()


def _find_command(
    words: Sequence[str], commands: Mapping[tuple[str, ...], Command], common: Sequence[Option]
) -> tuple[Command, list[str]]:
    """The longest command that the words (without options) begin with, and all other words."""
    takes_value = {f"--{o.name}" for o in common if o.kind != FLAG} | {f"-{o.short}" for o in common if o.kind != FLAG}
    # A stack may be named before the command, as `pulumi -s dev up`.
    takes_value |= {"--stack", "-s"}
    places: list[int] = []
    skip = False
    for index, word in enumerate(words):
        if word == "--":
            break
        if skip or word.startswith("-"):
            skip = not skip and word in takes_value
            continue
        places.append(index)
    names = tuple(words[i] for i in places)
    for length in range(min(3, len(names)), -1, -1):
        found = commands.get(names[:length])
        if found is not None:
            used = set(places[:length])
            return found, [w for i, w in enumerate(words) if i not in used]
    raise UsageError("there are no commands")


class _State:
    """Collects one command line."""

    def __init__(self, command: Command, options: Mapping[str, Option], shorts: Mapping[str, Option]) -> None:
        self.command = command
        self.options = options
        self.shorts = shorts
        self.positional: list[str] = []
        self.flags: dict[str, bool] = {}
        self.values: dict[str, tuple[str, ...]] = {}
        self.order: list[tuple[str, str]] = []

    def run(self, words: list[str]) -> None:
        queue = list(reversed(words))
        while queue:
            word = queue.pop()
            if word == "--":
                self.positional += reversed(queue)
                return
            if word.startswith("--"):
                self._long(word[2:], queue)
            elif word.startswith("-") and len(word) > 1:
                self._short(word[1:], queue)
            else:
                self.positional.append(word)

    def arguments(self) -> Arguments:
        return Arguments(
            command=self.command,
            positional=tuple(self.positional),
            flags=self.flags,
            values=self.values,
            order=tuple(self.order),
        )

    def _long(self, word: str, queue: list[str]) -> None:
        name, separator, text = word.partition("=")
        option = self.options.get(name)
        if option is None:
            raise UsageError(f"unknown flag: --{name} (of 'pulumi {self.command.name}')")
        self._take(option, text if separator else None, queue)

    def _short(self, word: str, queue: list[str]) -> None:
        while word:
            option = self.shorts.get(word[0])
            if option is None:
                raise UsageError(f"unknown shorthand flag: '{word[0]}' in -{word} (of 'pulumi {self.command.name}')")
            rest = word[1:]
            if option.kind == FLAG and not rest.startswith("="):
                self._take(option, None, queue)
                word = rest
                continue
            self._take(option, rest.removeprefix("=") or None, queue)
            return

    def _take(self, option: Option, text: str | None, queue: list[str]) -> None:
        if option.kind == FLAG:
            on = _truth(option.name, text)
            if on and option.refused:
                raise UsageError(f"--{option.name} is not served: {option.refused}")
            self.flags[option.name] = on
            return
        if option.refused:
            raise UsageError(f"--{option.name} is not served: {option.refused}")
        if text is None:
            if not queue:
                raise UsageError(f"flag needs an argument: --{option.name}")
            text = queue.pop()
        earlier = self.values.get(option.name, ()) if option.kind == MANY else ()
        self.values[option.name] = (*earlier, text)
        self.order.append((option.name, text))


def _truth(name: str, text: str | None) -> bool:
    if text is None or text.lower() in {"true", "t", "1"}:
        return True
    if text.lower() in {"false", "f", "0"}:
        return False
    raise UsageError(f"--{name} is true or false, not '{text}'")
