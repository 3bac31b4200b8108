"""Templates and product lines for the API and for the web page alike: listed, shown, added.

Decides who may add a template and how a refusal reads. What a template may hold is decided by `stacks.templates`.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from automation.errors import NotFoundError
from automation.jobs import audit
from automation.jobs.database import transaction
from automation.jobs.model import ConflictError
from service.auth.permissions import Permission
from service.auth.principal import Principal
from service.state import State
from stacks.lines import LINES, line_of
from stacks.problems import FieldProblem, TemplateError, closest, shown
from stacks.templates import Template

EXAMPLE: dict[str, Any] = {
    "id": "implantology",
    "version": "1.0.0",
    "line": "cabinet",
    "title": "Implantology",
    "description": "A practice for implants, with slots of an hour.",
    "settings": {"appointments": {"slotMinutes": 60}, "booking": {"advanceDays": 60}},
}


def templates(state: State, line: str | None = None) -> list[dict[str, Any]]:
    """The newest version of each template, by id."""
    return [_shown(state, one) for one in state.templates.latest(line)]


def template(state: State, template_id: str, version: str | None = None, *, line: str | None = None) -> dict[str, Any]:
    """One version of a template, the newest unless one is named, of any line unless one is. Raises NotFoundError."""
    try:
        return _shown(state, state.templates.get(template_id, version, line))
    except TemplateError as error:
        if error.source != "templates":
            raise
        raise NotFoundError(
            "; ".join(f"there is no template with {one.field} {one.given}" for one in error.problems),
            hint="; ".join(f"valid: {one.valid}" for one in error.problems),
        ) from None


def lines() -> list[dict[str, Any]]:
    """The product lines, with their steps; `optional` ones can be skipped."""
    return [
        {
            "kind": line.kind,
            "title": line.title,
            "noun": line.noun,
            "steps": [{"key": one.key, "title": one.title, "optional": one.key in line.skips} for one in line.steps],
        }
        for line in LINES.values()
    ]


def schema(kind: str) -> dict[str, Any]:
    """The JSON schema of a line's manifest. Raises NotFoundError."""
    if kind not in LINES:
        near = closest(kind, LINES)
        raise NotFoundError(
            f"there is no line '{kind}'",
            hint=f"did you mean '{near}'?" if near else f"lines: {', '.join(sorted(LINES))}",
        )
    return LINES[kind].schema()


async def add_template(state: State, who: Principal, content: object) -> dict[str, Any]:
    """Adds a template. Raises TemplateError with every problem, ConflictError where its id or version is taken."""
    who.demand(Permission.TEMPLATES_WRITE)
    if not isinstance(content, Mapping):
        problem = FieldProblem(field="template", given=shown(content), valid="a mapping of keys to values")
        raise TemplateError("template", [problem])
    line = line_of({"kind": content.get("line")}, "template")
    store = state.templates.of(line)
    if len(store.dirs) < 2:
        raise ConflictError(
            "this service keeps no templates of its own", hint="set TENANTRY_TEMPLATES to a folder where it starts"
        )
    known = await asyncio.to_thread(state.templates.versions, str(content.get("id")), line.kind)
    try:
        added = await asyncio.to_thread(_add, state, content, line.kind)
    except TemplateError as error:
        if known and all(one.field in {"id", "version"} for one in error.problems):
            reason = "; ".join(f"{one.field} {one.valid}" for one in error.problems)
            raise ConflictError(f"the template cannot be added: {reason}") from None
        raise
    if (added.id, added.version) not in {(one.id, one.version) for one in known}:
        async with transaction(state.engine, state.settings) as connection:
            await audit.record(
                connection,
                caller=who.caller,
                action="template.add",
                object=f"template {added.id} {added.version}",
                after={"id": added.id, "version": added.version, "settings": dict(added.settings)},
            )
    return _shown(state, added)


def _add(state: State, content: Mapping[str, Any], kind: str) -> Template:
    # The store adds files: it reads what it is given as strictly as what it has.
    with tempfile.TemporaryDirectory(prefix="tenantry-template-") as folder:
        path = Path(folder) / "template.yaml"
        path.write_text(yaml.safe_dump(dict(content), allow_unicode=True, sort_keys=False), encoding="utf-8")
        return state.templates.of(LINES[kind]).add(path)


def _shown(state: State, one: Template) -> dict[str, Any]:
    return {**one.to_dict(), "versions": [each.version for each in state.templates.versions(one.id, one.line)]}
