"""Product lines: what the jobs, the service and the command line need to know of each. A new line is one more entry.

Decides which lines there are. What a line's manifest, template and program are is decided in its own modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from stacks import steps as cabinet_steps
from stacks.manifest import CabinetManifest, ManifestError, parse_manifest
from stacks.problems import FieldProblem, closest, shown
from stacks.resolve import ResolvedManifest, resolve
from stacks.settings import Settings
from stacks.steps import Step
from stacks.templates import TemplateStore


class Manifest(Protocol):
    """What every line's manifest has."""

    @property
    def kind(self) -> str: ...
    @property
    def slug(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def template_id(self) -> str: ...
    @property
    def enable_rollback(self) -> bool: ...
    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A product line.

    `skips` says by which values of the manifest a step is left out: only these steps can be skipped. `kind` is the
    manifest's, and `noun` what one tenant of the line is called.
    """

    kind: str
    title: str
    noun: str
    steps: tuple[Step, ...]
    step_of: Callable[[str], str | None]
    parse: Callable[..., CabinetManifest]
    resolve: Callable[..., ResolvedManifest]
    restore: Callable[..., ResolvedManifest]
    schema: Callable[[], dict[str, Any]]
    templates: Callable[[], TemplateStore] = TemplateStore
    skips: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def program(self, resolved: ResolvedManifest) -> Callable[[], None]:
        """The Pulumi program of a resolved manifest. Imports the SDK, which takes its time."""
        from stacks.program import program_for

        return program_for(resolved)

    def step(self, key: str) -> Step:
        """The step called `key`. Raises KeyError."""
        return {step.key: step for step in self.steps}[key]


# What the model's own messages need not say, as they are about values that may be left out.
_CABINET_HELP = {
    "templateVersion": "such as 1.0.0; left out, the one that the tenant was built from, or for a new one the newest",
    "skipDatabaseCreation": "leaves the cabinet without a database of its own",
    "enableRollback": "a run that fails is undone by itself; without this, what it made is left to be looked at",
}


def _cabinet_schema() -> dict[str, Any]:
    """The manifest's schema, with that of the settings where the manifest takes overrides of them.

    An override has no default: what is left out is the template's value.
    """
    schema = CabinetManifest.model_json_schema(by_alias=True)
    settings = Settings.model_json_schema(by_alias=True)
    sections = {**settings.pop("$defs", {}), "Settings": settings}
    defaults = [one for section in sections.values() if not section.get("required") for one in _properties(section)]
    for one in defaults:
        one.pop("default", None)
    schema["$defs"] = {**sections, **schema.get("$defs", {})}
    overrides = {"$ref": "#/$defs/Settings", "default": {}, "description": "what differs from the template"}
    schema["properties"]["customSettings"] = overrides
    for key, text in _CABINET_HELP.items():
        schema["properties"][key]["description"] = text
    return schema


def _properties(section: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(section.get("properties", {}).values())


CABINET = Line(
    kind="cabinet",
    title="Dental cabinets",
    noun="cabinet",
    steps=cabinet_steps.STEPS,
    step_of=cabinet_steps.step_of,
    parse=parse_manifest,
    resolve=resolve,
    restore=ResolvedManifest.from_dict,
    schema=_cabinet_schema,
    skips={"database": {"skipDatabaseCreation": True}},
)

LINES: Mapping[str, Line] = {line.kind: line for line in (CABINET,)}


def line_of(mapping: object, source: str = "manifest") -> Line:
    """The line that a manifest's `kind` names. Raises ManifestError naming those there are."""
    kind = mapping.get("kind") if isinstance(mapping, Mapping) else None
    if isinstance(kind, str) and kind in LINES:
        return LINES[kind]
    problem = FieldProblem(
        field="kind",
        given=shown(kind),
        valid=f"one of {', '.join(sorted(LINES))}",
        suggestion=closest(kind, LINES) if isinstance(kind, str) else None,
    )
    raise ManifestError(source, [problem])
