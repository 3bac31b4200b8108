"""`stack graph FILE`: what needs what, as a graph in the DOT language, which Graphviz draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.arguments import Arguments
from engine.errors import UsageError
from engine.files import write_atomic
from engine.resource import State, urn_name
from engine.workspace import Context

_DEPENDENCY: Final = "#246C60"
_PARENT: Final = "#AA6639"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOptions:
    """Which edges are drawn and how; an empty colour is none."""

    parents: bool = True
    dependencies: bool = True
    parent_colour: str = _PARENT
    dependency_colour: str = _DEPENDENCY
    short_names: bool = False


def graph(context: Context) -> None:
    stack = context.stack()
    resources = [state for state in stack.load().resources if not state.delete]
    if not resources:
        raise UsageError(f"the stack '{stack.ref.name}' has no resources, so there is no graph of it")
    name = context.arguments.argument(0)
    text = "\n".join(dot(resources, _options(context.arguments))) + "\n"
    write_atomic(context.cwd / Path(name).expanduser(), text.encode("utf-8"), mode=0o644)
    context.say(f"Wrote stack dependency graph to `{name}`")


def _options(arguments: Arguments) -> GraphOptions:
    return GraphOptions(
        parents=not arguments.flag("ignore-parent-edges"),
        dependencies=not arguments.flag("ignore-dependency-edges"),
        parent_colour=arguments.value("parent-edge-color", _PARENT),
        dependency_colour=arguments.value("dependency-edge-color", _DEPENDENCY),
        short_names=arguments.flag("short-node-name"),
    )


def dot(resources: Sequence[State], options: GraphOptions) -> Iterator[str]:
    """The lines of a graph. An edge goes from what is needed to what needs it, and from a child to its parent."""
    names = {state.urn: f"Resource{number}" for number, state in enumerate(resources)}
    yield "strict digraph {"
    for state in resources:
        label = urn_name(state.urn) if options.short_names else state.urn
        yield f"    {names[state.urn]} [label={_quoted(label)}];"
    for state in resources:
        if options.dependencies:
            for urn in state.dependencies:
                keys = sorted(key for key, urns in state.property_dependencies.items() if urn in urns)
                yield _edge(names[urn], names[state.urn], options.dependency_colour, ", ".join(keys))
        if options.parents and state.parent:
            yield _edge(names[state.urn], names[state.parent], options.parent_colour, "")
    yield "}"


def _edge(start: str, end: str, colour: str, label: str) -> str:
    attributes = [f"{name} = {_quoted(value)}" for name, value in (("color", colour), ("label", label)) if value]
    return f"    {start} -> {end}" + (f" [{', '.join(attributes)}]" if attributes else "") + ";"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
