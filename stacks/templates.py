"""Templates: presets of settings, kept as YAML files, several versions of each side by side.

Decides which files are templates, which version is the latest, and whether one may be added. It never changes one that
is there: an id and version, once published, always mean the same settings. The first folder of a store is built in and
never written to; custom ones are added to the last folder as `<id>/<version>.yaml`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stacks.fields import LongText, ShortText
from stacks.manifest import CABINET_SHAPE
from stacks.problems import MISSING, FieldProblem, TemplateError, closest, problems_of, shown
from stacks.shape import Shape, TemplateId, Version
from stacks.versions import newest, ordered
from stacks.yaml_source import read_yaml

BUILTIN_DIR = CABINET_SHAPE.folder
CUSTOM_DIRS_ENV = "TENANTRY_TEMPLATES"


class _TemplateFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: TemplateId
    version: Annotated[Version, Field(description='a semantic version such as "1.0.0"')]
    line: str = Field(description="the product line")
    title: ShortText
    description: LongText
    settings: dict[str, Any] = Field(description="a mapping of settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One version of a template. `settings` has the keys as written in YAML and is complete: defaults are filled in."""

    id: str
    version: str
    line: str
    title: str
    description: str
    settings: Mapping[str, Any]
    builtin: bool
    source: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: id, version, line, title, description, settings, builtin."""
        names = ("id", "version", "line", "title", "description")
        return {
            **{name: getattr(self, name) for name in names},
            "settings": dict(self.settings),
            "builtin": self.builtin,
        }


class TemplateStore:
    """The templates of some folders, which are read anew at each call: they are small, and may change."""

    def __init__(self, dirs: Sequence[Path | str] | None = None, shape: Shape[Any] = CABINET_SHAPE) -> None:
        """Templates of the line of `shape`.

        Without `dirs`: the built-in folder, and those of TENANTRY_TEMPLATES, which is written like PATH.
        """
        self.shape = shape
        if dirs is None:
            custom = os.environ.get(CUSTOM_DIRS_ENV, "").split(os.pathsep)
            dirs = [shape.folder, *(Path(directory) / shape.custom for directory in custom if directory)]
        if not dirs:
            raise ValueError("a template store needs at least one folder")
        self.dirs: tuple[Path, ...] = tuple(Path(directory) for directory in dirs)

    def list(self) -> tuple[Template, ...]:
        """Every version of every template, by id, oldest version first. Raises TemplateError for a broken file."""
        return tuple(template for template_id in self.ids() for template in self._versions(template_id))

    def get(self, template_id: str, version: str | None = None) -> Template:
        """One template; the latest version unless one is named. Raises TemplateError naming those that exist."""
        ids = self.ids()
        if template_id not in ids:
            raise unknown_template(template_id, ids)
        # Only its own files are read: a broken one elsewhere is not this tenant's trouble.
        versions = {template.version: template for template in self._versions(template_id)}
        if version is None:
            return versions[newest([*versions])]
        if version not in versions:
            raise _unknown("templateVersion", version, ordered([*versions]), "there are no versions")
        return versions[version]

    def latest(self) -> tuple[Template, ...]:
        """The latest version of each template, by id."""
        return tuple(self.get(template_id) for template_id in self.ids())

    def add(self, path: Path | str) -> Template:
        """Adds a template file, fully validated first. Adding the same content again changes nothing.

        Raises TemplateError for a wrong file, a version that is there with other content, or an id that is built in.
        """
        path = Path(path)
        template = read_template(path, builtin=False, shape=self.shape)
        if template.id in self.shape.apart:
            valid = f"another id: {template.id} is the folder of another line's templates"
            raise TemplateError(str(path), [FieldProblem(field="id", given=shown(template.id), valid=valid)])
        if len(self.dirs) < 2:
            valid = f"a folder for custom templates, such as {CUSTOM_DIRS_ENV}=./custom-templates"
            raise TemplateError(str(path), [FieldProblem(field="file", given="no custom folder", valid=valid)])
        for known in self._versions(template.id):
            if known.builtin:
                valid = f"another id: {template.id} is built in and cannot be overwritten"
                raise TemplateError(str(path), [FieldProblem(field="id", given=shown(template.id), valid=valid)])
            if known.version == template.version:
                if known.to_dict() == template.to_dict():
                    return known
                raise _conflict(template, known)
        return self._write(template)

    def ids(self) -> Sequence[str]:
        """The ids of all templates, sorted."""
        return sorted({_id_of(path, directory) for directory in self.dirs for path in self.files(directory)})

    def files(self, directory: Path) -> Sequence[Path]:
        """The line's template files in one of its folders."""
        if not directory.is_dir():
            return []  # a custom folder comes into being with the first template added
        found = (path for pattern in ("*.yaml", "*/*.yaml") for path in directory.glob(pattern) if path.name[0] != ".")
        return sorted(path for path in found if path.parent == directory or path.parent.name not in self.shape.apart)

    def _versions(self, template_id: str) -> Sequence[Template]:
        """All versions of one template, the oldest first."""
        found: dict[str, Template] = {}
        for index, directory in enumerate(self.dirs):
            for path in self.files(directory):
                if _id_of(path, directory) != template_id:
                    continue
                template = read_template(path, builtin=index == 0, shape=self.shape)
                _refuse_misplaced(template, path, directory)
                known = found.setdefault(template.version, template)
                if known.settings != template.settings:
                    raise _conflict(template, known)
        return [found[version] for version in ordered([*found])]

    def _write(self, template: Template) -> Template:
        target = self.dirs[-1] / template.id / f"{template.version}.yaml"
        content = {key: value for key, value in template.to_dict().items() if key != "builtin"}
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
            try:
                with partial.open("x", encoding="utf-8") as file:
                    yaml.safe_dump(content, file, allow_unicode=True, sort_keys=False)
                    file.flush()
                    os.fsync(file.fileno())
                # A link fails where a rename would overwrite what another process has just added.
                os.link(partial, target)
            finally:
                partial.unlink(missing_ok=True)
        except FileExistsError:
            raise _conflict(template, read_template(target, builtin=False, shape=self.shape)) from None
        except OSError as cause:
            given = f"{target}: {cause.strerror}"
            raise TemplateError(
                template.source, [FieldProblem(field="file", given=given, valid="a folder that can be written")]
            ) from cause
        return read_template(target, builtin=False, shape=self.shape)


def read_template(path: Path, *, builtin: bool, shape: Shape[Any] = CABINET_SHAPE) -> Template:
    """One template file of a line, validated. Raises TemplateError with every problem found."""
    mapping = read_yaml(path, TemplateError)
    problems: list[FieldProblem] = []
    file: _TemplateFile | None = None
    try:
        file = _TemplateFile.model_validate(mapping)
    except ValidationError as error:
        problems.extend(problems_of(error, _TemplateFile))
    named = mapping.get("line")
    if isinstance(named, str) and named != shape.line:
        near = closest(named, [shape.line])
        problems.append(FieldProblem(field="line", given=shown(named), valid=shape.line, suggestion=near))
    settings: BaseModel | None = None
    if isinstance(mapping.get("settings"), dict):
        try:
            settings = shape.settings.model_validate(mapping["settings"])
        except ValidationError as error:
            problems.extend(problems_of(error, shape.settings, prefix="settings"))
        else:
            problems.extend(shape.inconsistencies(settings, prefix="settings"))
    if problems or file is None or settings is None:
        raise TemplateError(str(path), problems)
    return Template(
        id=file.id,
        version=file.version,
        line=file.line,
        title=file.title,
        description=file.description,
        settings=settings.model_dump(mode="json", by_alias=True),
        builtin=builtin,
        source=str(path),
    )


def _id_of(path: Path, directory: Path) -> str:
    return path.stem if path.parent == directory else path.parent.name


def _refuse_misplaced(template: Template, path: Path, directory: Path) -> None:
    problems = []
    expected = _id_of(path, directory)
    if template.id != expected:
        valid = f"{expected}, as the file is called"
        problems.append(FieldProblem(field="id", given=shown(template.id), valid=valid))
    if path.parent != directory and template.version != path.stem:
        valid = f"{path.stem}, as the file is called"
        problems.append(FieldProblem(field="version", given=shown(template.version), valid=valid))
    if problems:
        raise TemplateError(str(path), problems)


def _conflict(template: Template, known: Template) -> TemplateError:
    given = f"{shown(template.version)} with other content than {known.source}"
    valid = "a new version number for new content: a published version never changes"
    return TemplateError(template.source, [FieldProblem(field="version", given=given, valid=valid)])


def unknown_template(given: str, known: Sequence[str]) -> TemplateError:
    """The error for a template that is not among `known`."""
    return _unknown("templateId", given, known, "there are no templates")


def _unknown(field: str, given: str, known: Sequence[str], none: str) -> TemplateError:
    valid = f"one of {', '.join(known)}" if known else none
    problem = FieldProblem(
        field=field, given=shown(given) if given else MISSING, valid=valid, suggestion=closest(given, known)
    )
    return TemplateError("templates", [problem])
