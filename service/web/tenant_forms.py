"""The form of a tenant: made from its line's schema and a template, read back, shown again with what is wrong.

Decides how a manifest is entered, as fields or as YAML, and says the same of both. Sending it on is the routes'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automation.errors import NotFoundError
from providers.masking import MASK
from service.state import State
from service.web.fields import Choice, Field, Widget, fields_of
from service.web.filled import Placed, Problem, Reading, placed, read, read_manifest, shown
from service.web.yaml_text import dump
from stacks.lines import LINES, Line
from stacks.problems import MISSING, FieldProblem, InputError, TemplateError
from stacks.templates import Template

FORM, YAML = "form", "yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantForm:
    """The form of one line's manifests over one template."""

    line: Line
    template: Template | None
    fields: tuple[Field, ...]

    @property
    def shown(self) -> list[Field]:
        """What is entered: first what must be said, then what may be."""
        entered = [field for field in self.fields if field.widget is not Widget.HIDDEN]
        return [field for field in entered if field.required] + [field for field in entered if not field.required]


def line_called(kind: str) -> Line:
    """The line. Raises NotFoundError."""
    if kind not in LINES:
        raise NotFoundError("there is no such product line", hint=f"lines: {', '.join(sorted(LINES))}")
    return LINES[kind]


def form_for(state: State, line: Line, template_id: str | None, version: str | None = None) -> TenantForm:
    """The form of a line; with a template, it shows what that says where a field is left empty."""
    store = state.templates.of(line)
    choices = [Choice(value=one.id, label=one.title) for one in store.latest()]
    template = None
    if template_id in {choice.value for choice in choices}:
        try:
            template = store.get(str(template_id), version or None)
        except TemplateError:
            template = store.get(str(template_id))
    inherited = {"customSettings": template.settings} if template else {}
    fields = fields_of(line.schema(), choices={"templateId": choices}, inherited=inherited)
    return TenantForm(line=line, template=template, fields=fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """What was entered: the manifest, if it could be read, and what could not."""

    mode: str
    manifest: dict[str, Any]
    problems: tuple[Problem, ...]
    texts: Mapping[str, str]
    yaml: str


def entered(form: TenantForm, values: Mapping[str, str]) -> Entered:
    """A posted form."""
    if values.get("_mode") == YAML:
        text = values.get("_yaml", "")
        try:
            manifest, problems = read_manifest(text), ()
        except InputError as error:
            manifest = {}
            return Entered(mode=YAML, manifest=manifest, problems=problems_of(error), texts={}, yaml=text)
        return Entered(mode=YAML, manifest=manifest, problems=problems, texts=shown(form.fields, manifest), yaml=text)
    reading: Reading = read(form.fields, values)
    texts = {leaf.path: values.get(leaf.path, "") for field in form.fields for leaf in field.leaves}
    filled = {path: text for path, text in texts.items() if text}
    return Entered(
        mode=FORM, manifest=reading.manifest, problems=reading.problems, texts=filled, yaml=dump(reading.manifest)
    )


def of_manifest(form: TenantForm, manifest: Mapping[str, Any], mode: str = FORM) -> Entered:
    """A form filled with a manifest that there is."""
    manifest = dict(manifest)
    return Entered(mode=mode, manifest=manifest, problems=(), texts=shown(form.fields, manifest), yaml=dump(manifest))


def problems_of(error: InputError) -> tuple[Problem, ...]:
    """The problems that a manifest's own model found."""
    return tuple(Problem(field=one.field, message=_message(one)) for one in error.problems)


def _message(problem: FieldProblem) -> str:
    hint = f" Did you mean {problem.suggestion}?" if problem.suggestion else ""
    if problem.given == MISSING:
        return f"{problem.valid}.{hint}"
    return f"{problem.given} is not valid. Needed: {problem.valid}.{hint}"


def place(form: TenantForm, what: Entered, problems: Sequence[Problem]) -> Placed:
    """Where the problems stand. Beside YAML, all stand in the summary."""
    if what.mode == YAML:
        return Placed(beside={}, others=tuple(problems), links=tuple(("", one.field, one.message) for one in problems))
    return placed(form.fields, problems)


def unmasked(new: Any, old: Any) -> Any:
    """`new`, with what is still masked in it as it is in `old`: a form never shows a secret, and never loses one."""
    if new == MASK and old is not None and not isinstance(old, Mapping | list):
        return old
    if isinstance(new, Mapping):
        below = old if isinstance(old, Mapping) else {}
        return {key: unmasked(value, below.get(key)) for key, value in new.items()}
    return new
