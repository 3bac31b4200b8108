"""The workflows of a department: each template with its version pinned, its parameters and its credentials filled.

Decides what of the settings makes which workflow. A resolved workflow holds its definition, so that it can be made
again when its template is gone; it holds no secret, but the names of the variables that do. Never talks to n8n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stacks.problems import FieldProblem, InputError, closest, shown
from stacks.workflows import WorkflowTemplate, WorkflowTemplates

DATABASE_TYPE = "postgres"
"""n8n's type of a credential that is the department's own database, where the settings say nothing else."""
RUNS = "runs"
"""The credential by which a template counts its runs in the department's table of them, for its cost (docs)."""
_FIELD = "customSettings.workflows"


def versions(settings: Mapping[str, Any]) -> dict[str, str]:
    """By workflow, the version of its template in resolved settings."""
    resolved = settings.get("workflows") or {}
    return {
        name: str(own["version"]) for name, own in resolved.items() if isinstance(own, Mapping) and own.get("version")
    }


def counted(settings: Mapping[str, Any]) -> dict[str, bool]:
    """Of each workflow in resolved settings, whether its runs are counted."""
    resolved = settings.get("workflows") or {}
    return {name: RUNS in (own.get("credentialTypes") or {}) for name, own in resolved.items()}


def pinned(
    names: Sequence[str], given: Mapping[str, Any], kept: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], list[FieldProblem]]:
    """The settings of each workflow in `names`, resolved; and what is wrong with them. Others' settings are refused.

    Where none is given, the version is the one of `kept` (what the tenant was built from), else the newest.
    """
    kept = kept or {}
    templates = WorkflowTemplates()
    chosen: dict[str, Any] = {}
    problems = [
        FieldProblem(
            field=f"{_FIELD}.{name}",
            given="settings of a workflow that is not asked for",
            valid=f"one of {', '.join(names)}, which `workflows` lists"
            if names
            else "nothing, as `workflows` is empty",
            suggestion=closest(name, names),
        )
        for name in given
        if name not in names
    ]
    for index, name in enumerate(names):
        own = dict(given.get(name) or {})
        if name not in templates.ids():
            valid = f"one of {', '.join(templates.ids())}"
            near = closest(name, templates.ids())
            problems.append(FieldProblem(field=f"workflows[{index}]", given=shown(name), valid=valid, suggestion=near))
            continue
        try:
            chosen[name] = _resolved(templates.get(name, own.get("version") or kept.get(name)), own, f"{_FIELD}.{name}")
        except InputError as error:
            problems.extend(_placed(error.problems, f"{_FIELD}.{name}"))
    return chosen, problems


def _placed(problems: Sequence[FieldProblem], under: str) -> list[FieldProblem]:
    return [
        one
        if one.field.startswith(_FIELD)
        else FieldProblem(field=f"{under}.{one.field}", given=one.given, valid=one.valid, suggestion=one.suggestion)
        for one in problems
    ]


def _resolved(template: WorkflowTemplate, own: Mapping[str, Any], field: str) -> dict[str, Any]:
    """Raises InputError with every problem."""
    parameters, credentials = dict(own.get("parameters") or {}), dict(own.get("credentials") or {})
    known = ", ".join(template.credentials) or "none: this workflow needs none"
    problems = [
        FieldProblem(field=f"{field}.credentials.{slot}", given="a credential", valid=known)
        for slot in credentials
        if slot not in template.credentials
    ]
    definition: dict[str, Any] = {}
    try:
        definition = template.definition(parameters, source=template.id, field=f"{field}.parameters")
    except InputError as error:
        problems.extend(error.problems)
    filled: dict[str, Any] = {}
    for slot, wanted in template.credentials.items():
        if wanted.type == DATABASE_TYPE and slot not in credentials:
            continue
        given, where = credentials.get(slot) or {}, f"{field}.credentials.{slot}"
        try:
            filled[slot] = template.credential_settings(slot, given, source=template.id, field=where)
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError(template.id, problems)
    return {
        "version": template.version,
        "parameters": parameters,
        "credentials": filled,
        "definition": definition,
        "credentialTypes": {slot: wanted.type for slot, wanted in template.credentials.items()},
    }
