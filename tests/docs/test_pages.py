"""What the pages name is there: commands and options, routes, variables, headings that links lead to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
from typer.main import get_command

from automation.cli import app
from service.app import create_app

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    path.name: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
WORKFLOW = (ROOT / ".github" / "workflows" / "tenants.yml").read_text(encoding="utf-8")
_VARIABLE = re.compile(r"[\"']((?:TENANTRY|RABBITMQ|PROVISIONING|DB)_[A-Z_]*[A-Z])[\"'\]=]")
# Set by ourselves for our own processes, and for nobody else to set.
_INTERNAL = {"TENANTRY_JOB", "TENANTRY_JOB_ATTEMPT", "TENANTRY_LOG_FD", "TENANTRY_REQUESTS_FILE"}


def command_called(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that `words` begin with, and the words after its name. Raises KeyError."""
    found: Any = get_command(app)
    while words and hasattr(found, "commands") and not words[0].startswith("-"):
        found, words = found.commands[words[0]], words[1:]
    return found, words


def shown_commands() -> list[tuple[str, str]]:
    """(page, command line) of everything that starts with `tenantry` in a block or between backticks."""
    found = []
    for name, text in {**PAGES, "tenants.yml": WORKFLOW}.items():
        lines = re.findall(r"(?m)^(?:\$ )?((?:\S*/)?tenantry [^#\n]*)", text) if name.endswith(".md") else []
        inline = re.findall(r"`(tenantry [^`\n]+)`", text)
        inline += re.findall(r"(?m)run: .*\.venv/bin/(tenantry .*)$", text)
        found += [(name, line) for line in (*lines, *inline)]
    return found


def test_every_command_that_is_shown_has_its_options() -> None:
    seen = 0
    for page, line in shown_commands():
        words = line.split()[1:]
        if not re.fullmatch(r"[a-z]+", words[0]):
            continue  # `tenantry up` is a command, `tenantry ...` and `tenantry --json` stand for several
        try:
            command, rest = command_called(words)
        except KeyError as missing:
            raise AssertionError(f"{page}: `{line}`: there is no command {missing}") from None
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
        for word in rest:
            if word.startswith("--"):
                option = re.match(r"--[a-z-]+", word)
                assert option is not None, line
                assert option[0] in known, f"{page}: `{line}`: no option {option[0]}"
                seen += 1
    assert seen > 8


def test_every_option_of_the_table_of_commands_exists() -> None:
    rows = re.findall(r"(?m)^\| `tenantry ([^|]*)\|(.*)\|$", PAGES["cli.md"])
    assert len(rows) > 12
    for names, words in rows:
        first = re.match(r"[a-z]+", names)
        assert first is not None
        command, _ = command_called([first[0]])
        commands = [command, *getattr(command, "commands", {}).values()]
        known = {option for one in commands for param in one.params for option in (*param.opts, *param.secondary_opts)}
        assert set(re.findall(r"--[a-z-]+", words)) <= known, names


@pytest.fixture(scope="module")
def paths() -> dict[str, set[str]]:
    """The methods of each path of the OpenAPI document; names of parameters do not matter."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TENANTRY_JWT_SECRET", "of the tests, and long enough for HS256")
        document = create_app().openapi()
    methods = {"get", "put", "post", "patch", "delete"}
    return {nameless(path): {one.upper() for one in item if one in methods} for path, item in document["paths"].items()}


def nameless(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def documented_routes() -> set[tuple[str, str]]:
    """(method, path) of the table in service.md; `.../x` is beside the path before it."""
    section = PAGES["service.md"].split("## The API", 1)[1].split("###", 1)[0]
    found: set[tuple[str, str]] = set()
    for quoted, methods in re.findall(r"(?m)^\| (`[^|]*) \| ([A-Z, ]+) \|", section):
        above = ""
        for path in re.findall(r"`([^`]+)`", quoted):
            whole = above + path[3:] if path.startswith("...") else path
            above = above if path.startswith("...") else path.rpartition("/")[0]
            found.update((method, nameless(whole)) for method in methods.split(", "))
    return found


def test_every_route_of_the_api_is_in_its_table_and_no_other(paths: dict[str, set[str]]) -> None:
    routes = documented_routes()
    live = {("GET", "/api/v1/jobs/{}/ws")}  # a WebSocket, which OpenAPI has no words for
    assert {route for route in routes - live if route[1] not in paths or route[0] not in paths[route[1]]} == set()
    assert {path for path in paths if path not in {path for _, path in routes}} == set()


def sources() -> list[str]:
    return [
        path.read_text(encoding="utf-8")
        for folder in ("automation", "service", "stacks", "providers")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def test_every_variable_that_is_read_is_documented() -> None:
    pages = PAGES["cli.md"] + PAGES["service.md"]
    found = {name for text in sources() for name in _VARIABLE.findall(text)}
    assert len(found) > 40
    assert sorted(name for name in found - _INTERNAL if name not in pages) == []


def test_every_variable_of_the_pages_is_read_somewhere() -> None:
    pages = PAGES["cli.md"] + PAGES["service.md"]
    told = set(re.findall(r"\b(?:TENANTRY|RABBITMQ|PROVISIONING)_[A-Z_]*[A-Z]\b", pages))
    code = "".join(sources())
    assert len(told) > 40
    assert sorted(name for name in told if name not in code) == []


def slug_of(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_every_anchor_is_a_heading() -> None:
    headings = {name: {slug_of(one) for one in re.findall(r"(?m)^#+ (.*)$", text)} for name, text in PAGES.items()}
    seen = 0
    for name, text in PAGES.items():
        for page, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text):
            target = Path(page).name or name
            if target.endswith(".md"):
                assert anchor in headings[target], f"{name}: {page}#{anchor}"
                seen += 1
    assert seen > 4
