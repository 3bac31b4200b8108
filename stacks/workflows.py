"""Templates of workflows: YAML files of nodes with parameters, several versions of each side by side.

Decides what a template may hold, which values its parameters and credentials take, and the definition that comes of
them. A value that n8n would run as an expression is refused: a parameter is data. It never talks to n8n, and reads no
secret: a secret's field is given by the name of the variable that holds it, or by who makes the credential.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stacks.fields import LongText, ShortText
from stacks.problems import MISSING, FieldProblem, InputError, TemplateError, closest, problems_of, shown
from stacks.versions import newest, ordered
from stacks.yaml_source import read_yaml

BUILTIN_DIR = Path(__file__).resolve().parent.parent / "templates" / "workflows"
CUSTOM_DIRS_ENV = "TENANTRY_WORKFLOW_TEMPLATES"
SECRET_SUFFIX = "From"  # noqa: S105 - what the key of a secret's variable ends with
_VARIABLE = re.compile(r"^TENANTRY_BACKEND_[A-Z0-9_]{1,60}$")
_EMAIL = re.compile(r"^[^@\s<>,;=][^@\s<>,;]{0,63}@[^@\s<>,;]{1,200}$")
_PLAIN = frozenset({str, int, float, bool, list, dict})
_LONGEST, _LONGEST_SECRET = 2_000, 20_000


class WorkflowError(InputError):
    """A workflow of a manifest that cannot be made of its template."""

    noun = "workflow"


class Kind(StrEnum):
    TEXT = "text"
    EMAIL = "email"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    SECRET = "secret"  # noqa: S105 - a kind of field


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parameter(_Model):
    """A value that a template asks for. Without a default it is required."""

    type: Kind
    description: LongText
    default: Any = None
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        return "default" not in self.model_fields_set

    def problem(self, value: Any) -> str | None:
        """What would be valid, where `value` is not. One that is only known later is not looked into."""
        if value is not None and type(value) not in _PLAIN:
            return None
        match self.type:
            case Kind.INTEGER:
                return None if _is_inside(value, self.minimum, self.maximum) else _numbers(self.minimum, self.maximum)
            case Kind.BOOLEAN:
                return None if isinstance(value, bool) else "true or false"
            case Kind.CHOICE:
                return None if value in self.choices else f"one of {', '.join(self.choices)}"
            case Kind.EMAIL:
                optional = value == "" and not self.required
                return None if optional or (isinstance(value, str) and _EMAIL.match(value)) else "an e-mail address"
            case Kind.SECRET:
                return _text_problem(value, _LONGEST_SECRET)
            case _:
                return _text_problem(value, _LONGEST)


class Credential(_Model):
    """A credential that a template's nodes use: n8n's type, and what it is made of."""

    type: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]{0,60}$")]
    description: LongText
    fields: dict[str, Parameter]


class _File(_Model):
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$", description="a name such as google_drive")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$", description='a version such as "1.0.0"')]
    title: ShortText
    description: LongText
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    credentials: dict[str, Credential] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    nodes: Annotated[list[dict[str, Any]], Field(min_length=1)]
    connections: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowTemplate:
    """One version of a template."""

    id: str
    version: str
    title: str
    description: str
    parameters: Mapping[str, Parameter]
    credentials: Mapping[str, Credential]
    content: Mapping[str, Any]
    source: str

    def definition(self, parameters: Mapping[str, Any], *, source: str, field: str = "parameters") -> dict[str, Any]:
        """nodes, connections and settings, with the values in their places. Raises WorkflowError with every problem."""
        values = _filled(self.parameters, parameters, source, field)
        return {name: _placed(part, values) for name, part in self.content.items()}

    def credential_data(self, slot: str, given: Mapping[str, Any], *, source: str, field: str) -> dict[str, Any]:
        """The data of one credential, with defaults. Raises WorkflowError with every problem."""
        return _filled(self.credentials[slot].fields, given, source, field)

    def secret_variables(self, slot: str, given: Mapping[str, Any], *, source: str, field: str) -> dict[str, str]:
        """By field, the variables that `given` names for secrets (`passwordFrom: TENANTRY_BACKEND_...`).

        Raises WorkflowError for a secret that stands in `given` itself: a manifest holds none.
        """
        secrets = [name for name, each in self.credentials[slot].fields.items() if each.type is Kind.SECRET]
        problems, found = [], {}
        for name in secrets:
            if name in given:
                valid = f"the key {name}{SECRET_SUFFIX} with the name of the variable that holds it"
                problems.append(FieldProblem(field=f"{field}.{name}", given="a secret", valid=valid))
            variable = given.get(f"{name}{SECRET_SUFFIX}")
            if variable is None:
                continue
            if isinstance(variable, str) and _VARIABLE.match(variable):
                found[name] = variable
            else:
                valid = "the name of a variable, TENANTRY_BACKEND_..."
                where = f"{field}.{name}{SECRET_SUFFIX}"
                problems.append(FieldProblem(field=where, given="something else", valid=valid))
        if problems:
            raise WorkflowError(source, problems)
        return found

    def credential_settings(self, slot: str, given: Mapping[str, Any], *, source: str, field: str) -> dict[str, Any]:
        """One credential of a manifest: what is no secret, with defaults; of secrets, the variables that it names.

        Raises WorkflowError with every problem.
        """
        fields = self.credentials[slot].fields
        secrets = {name: each for name, each in fields.items() if each.type is Kind.SECRET}
        named = {f"{name}{SECRET_SUFFIX}": each for name, each in secrets.items()}
        problems: list[FieldProblem] = []
        try:
            self.secret_variables(slot, given, source=source, field=field)
        except WorkflowError as error:
            problems.extend(error.problems)
        for name, each in secrets.items():
            key = f"{name}{SECRET_SUFFIX}"
            # One that stands there itself is told by that.
            if each.required and name not in given and given.get(key) is None:
                valid = f"the name of the variable, TENANTRY_BACKEND_..., that holds {each.description}"
                problems.append(FieldProblem(field=f"{field}.{key}", given=MISSING, valid=valid))
        plain = {name: each for name, each in fields.items() if name not in secrets}
        rest = {key: value for key, value in given.items() if key not in secrets and key not in named}
        filled: dict[str, Any] = {}
        try:
            filled = _filled(plain, rest, source, field, also=named)
        except WorkflowError as error:
            problems.extend(error.problems)
        if problems:
            raise WorkflowError(source, problems)
        return {**filled, **{key: given[key] for key in named if given.get(key) is not None}}


class WorkflowTemplates:
    """The templates of some folders, as `<id>/<version>.yaml`. The first is built in."""

    def __init__(self, dirs: Sequence[Path | str] | None = None) -> None:
        """Without `dirs`: the built-in folder, and those of TENANTRY_WORKFLOW_TEMPLATES, which is written like PATH."""
        custom = [part for part in os.environ.get(CUSTOM_DIRS_ENV, "").split(os.pathsep) if part]
        chosen: Sequence[Path | str] = [BUILTIN_DIR, *custom] if dirs is None else dirs
        self.dirs: tuple[Path, ...] = tuple(Path(each) for each in chosen)

    def ids(self) -> tuple[str, ...]:
        return tuple(sorted({path.parent.name for path in self._files()}))

    def all(self) -> tuple[WorkflowTemplate, ...]:
        """Every version of every template, by id, oldest version first. Raises TemplateError for a broken file."""
        return tuple(template for name in self.ids() for template in self._versions(name).values())

    def get(self, template_id: str, version: str | None = None) -> WorkflowTemplate:
        """One template; the latest version unless one is named. Raises TemplateError naming those that exist."""
        if template_id not in self.ids():
            raise _unknown("template", template_id, self.ids())
        versions = self._versions(template_id)
        if version is not None and version not in versions:
            raise _unknown("version", version, tuple(versions))
        return versions[version or newest([*versions])]

    def _files(self) -> Iterator[Path]:
        for directory in self.dirs:
            yield from sorted(path for path in directory.glob("*/*.yaml") if path.name[0] != ".")

    def _versions(self, template_id: str) -> dict[str, WorkflowTemplate]:
        found: dict[str, WorkflowTemplate] = {}
        for path in self._files():
            if path.parent.name == template_id:
                template = read_workflow_template(path)
                known = found.setdefault(template.version, template)
                if known.content != template.content:
                    given = f"{template.version} with other content than {known.source}"
                    valid = "a new version number for new content: a published version never changes"
                    raise TemplateError(str(path), [FieldProblem(field="version", given=given, valid=valid)])
        return {version: found[version] for version in ordered([*found])}


def read_workflow_template(path: Path) -> WorkflowTemplate:
    """One template file, validated. Raises TemplateError with every problem found."""
    mapping = read_yaml(path, TemplateError)
    try:
        file = _File.model_validate(mapping)
    except ValidationError as error:
        raise TemplateError(str(path), problems_of(error, _File)) from None
    content = {"nodes": file.nodes, "connections": file.connections, "settings": file.settings}
    if problems := [*_misplaced(file, path), *_inconsistencies(file, content)]:
        raise TemplateError(str(path), problems)
    return WorkflowTemplate(
        id=file.id,
        version=file.version,
        title=file.title,
        description=file.description,
        parameters=file.parameters,
        credentials=file.credentials,
        content=content,
        source=str(path),
    )


def _misplaced(file: _File, path: Path) -> Iterator[FieldProblem]:
    for field, given, expected in (("id", file.id, path.parent.name), ("version", file.version, path.stem)):
        if given != expected:
            yield FieldProblem(field=field, given=shown(given), valid=f"{expected}, as the file is called")


def _inconsistencies(file: _File, content: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """What the template says of itself in one place and not in another."""
    used = set(_names(content))
    for name in sorted(used ^ set(file.parameters)):
        valid = "a place in nodes or settings that uses it" if name in file.parameters else "a parameter of this name"
        yield FieldProblem(field=f"parameters.{name}", given=MISSING, valid=valid)
    slots = {str(slot) for node in file.nodes for slot in (node.get("credentials") or {}).values()} - {"webhook"}
    for name in sorted(slots ^ set(file.credentials)):
        valid = "a node that uses it" if name in file.credentials else "a credential of this name"
        yield FieldProblem(field=f"credentials.{name}", given=MISSING, valid=valid)
    groups = {"parameters": file.parameters}
    groups |= {f"credentials.{name}.fields": each.fields for name, each in file.credentials.items()}
    for where, group in groups.items():
        for name, each in group.items():
            if not each.required and (wanted := each.problem(each.default)) is not None:
                yield FieldProblem(field=f"{where}.{name}.default", given=shown(each.default), valid=wanted)


def _filled(
    known: Mapping[str, Parameter], given: Mapping[str, Any], source: str, field: str, also: Iterable[str] = ()
) -> dict[str, Any]:
    """`also` are keys that stand beside these, for whom the unknown ones may be meant."""
    problems: list[FieldProblem] = []
    valid_keys = [*known, *also]
    for name in given:
        if name not in known:
            valid = f"one of {', '.join(valid_keys)}" if valid_keys else "no key here"
            suggestion = closest(name, valid_keys)
            problems.append(
                FieldProblem(field=f"{field}.{name}", given="an unknown key", valid=valid, suggestion=suggestion)
            )
    values = {}
    for name, each in known.items():
        values[name] = given.get(name, each.default)
        if name not in given and each.required:
            problems.append(FieldProblem(field=f"{field}.{name}", given=MISSING, valid=each.description))
        elif name in given and (wanted := each.problem(given[name])) is not None:
            hidden = "a secret" if each.type is Kind.SECRET else shown(given[name])
            problems.append(FieldProblem(field=f"{field}.{name}", given=hidden, valid=wanted))
    if problems:
        raise WorkflowError(source, problems)
    return values


def _placed(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        name = _name_in(value)
        return values[name] if name is not None else {key: _placed(child, values) for key, child in value.items()}
    return [_placed(child, values) for child in value] if isinstance(value, list) else value


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        name = _name_in(value)
        if name is not None:
            yield name
        else:
            for child in value.values():
                yield from _names(child)
    elif isinstance(value, list):
        for child in value:
            yield from _names(child)


def _name_in(value: Mapping[str, Any]) -> str | None:
    """The parameter that stands here: `{parameter: from}`."""
    return str(value["parameter"]) if set(value) == {"parameter"} else None


def _text_problem(value: Any, longest: int) -> str | None:
    if not isinstance(value, str) or len(value) > longest:
        return f"text of up to {longest} characters"
    # n8n runs what begins with this as code.
    return "text that does not begin with =" if value.lstrip().startswith("=") else None


def _is_inside(value: Any, low: int | None, high: int | None) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and (low is None or value >= low) and (high is None or value <= high)


def _numbers(low: int | None, high: int | None) -> str:
    return "a whole number" + (f" from {low} to {high}" if low is not None and high is not None else "")


def _unknown(field: str, given: str, known: Sequence[str]) -> TemplateError:
    valid = f"one of {', '.join(known)}" if known else "there are no templates of workflows"
    problem = FieldProblem(field=field, given=shown(given), valid=valid, suggestion=closest(given, known))
    return TemplateError("workflow templates", [problem])
