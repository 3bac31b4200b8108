"""The command line: options anywhere, and nothing that is not served passes silently."""

import contextlib
import importlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.arguments import Arguments, parse
from engine.commands import COMMANDS, COMMON
from engine.errors import UsageError


def parsed(*words: str) -> Arguments:
    return parse(words, COMMANDS, COMMON)


@pytest.mark.parametrize(
    "words",
    [
        ("up", "--yes", "--stack", "dev", "--parallel=4"),
        ("--stack", "dev", "up", "--parallel", "4", "-y"),
        ("-s", "dev", "up", "-yp4"),
        ("up", "-s=dev", "-p", "4", "--yes=true"),
        ("--non-interactive", "-C", "up", "up", "-ysdev", "-p=4"),
    ],
)
def test_options_may_stand_anywhere(words: Sequence[str]) -> None:
    found = parsed(*words)
    assert found.command.name == "up"
    assert (found.flag("yes"), found.value("stack"), found.integer("parallel", 1)) == (True, "dev", 4)


def test_the_longest_command_wins() -> None:
    assert parsed("stack", "tag", "get", "x", "-s", "d").command.name == "stack tag get"
    assert parsed("stack", "--stack", "d").command.name == "stack"
    assert parsed("config", "--show-secrets").command.name == "config"


def test_after_two_dashes_everything_is_an_argument() -> None:
    found = parsed("config", "set", "key", "--secret", "--", "--yes")
    assert found.positional == ("key", "--yes")
    assert found.flag("secret")


def test_many_values_keep_their_order() -> None:
    found = parsed("config", "set-all", "--secret", "a=1", "--plaintext", "b=2", "--secret", "c=3")
    assert found.order == (("secret", "a=1"), ("plaintext", "b=2"), ("secret", "c=3"))
    assert parsed("up", "--target", "x", "-t", "y").many("target") == ("x", "y")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("up", "--no-such"), "--no-such"),
        (("up", "-z"), "'z'"),
        (("frobnicate",), "frobnicate"),
        (("stack", "frobnicate"), '"frobnicate" for "pulumi stack"'),
        (("up", "--remote"), "--remote"),
        (("up", "--attach-debugger"), "--attach-debugger"),
        (("state", "edit"), "pulumi state edit"),
        (("plugin", "install", "resource", "aws", "1.0.0", "--server", "x"), "--server"),
        (("config", "env", "add", "x"), "pulumi config env"),
        (("up", "--parallel"), "--parallel"),
        (("up", "--yes=maybe"), "--yes"),
        (("stack", "rename"), "stack rename NAME"),
        (("config", "get"), "config get KEY"),
    ],
)
def test_what_is_not_served_is_refused_by_name(words: Sequence[str], named: str) -> None:
    with pytest.raises(UsageError) as failure:
        parsed(*words)
    assert named in str(failure.value)


def test_a_refused_flag_that_is_off_is_nothing() -> None:
    assert not parsed("up", "--remote=false").flag("remote")


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--parallel.*'x'"):
        parsed("up", "--parallel", "x").integer("parallel", 1)


@given(st.lists(st.text(max_size=6), max_size=5))
def test_any_words_are_understood_or_refused(words: list[str]) -> None:
    with contextlib.suppress(UsageError):
        assert parsed(*words).command in COMMANDS.values()


def test_every_served_command_has_a_handler_that_exists() -> None:
    for command in COMMANDS.values():
        assert bool(command.handler) != bool(command.refused), command.name
        if command.handler:
            module, _, name = command.handler.partition(":")
            assert callable(getattr(importlib.import_module(module), name)), command.name
