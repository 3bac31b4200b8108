"""The templates of all lines together, for whoever names one without its line.

Decides how one is found among them. What a template may hold is decided in `templates`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stacks.lines import LINES, line_of
from stacks.problems import TemplateError
from stacks.templates import Template, TemplateStore, unknown_template
from stacks.yaml_source import read_yaml


def stores() -> tuple[TemplateStore, ...]:
    """The templates of each line."""
    return tuple(line.templates() for line in LINES.values())


def get(among: Iterable[TemplateStore], template_id: str, version: str | None = None) -> Template:
    """One template, the newest version unless one is named. Raises TemplateError naming those that exist."""
    known: list[str] = []
    for store in among:
        ids = store.ids()
        if template_id in ids:
            return store.get(template_id, version)
        known.extend(ids)
    raise unknown_template(template_id, known)


def add(path: Path) -> Template:
    """Adds a template file to the line that it names. Raises TemplateError."""
    return line_of({"kind": read_yaml(path, TemplateError).get("line")}, str(path)).templates().add(path)
