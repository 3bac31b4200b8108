"""The commands that need no database: validate, templates, engine.

Each prints text for people or one JSON document. Imported only when one of them runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from automation import manifests
from automation.cli_support import Output, print_table, settings_for
from automation.engines import choose
from automation.errors import InputError


def validate_files(output: Output, files: Sequence[Path]) -> None:
    """Checks each file, and slugs that occur twice. Raises InputError after all have been looked at."""
    settings = settings_for()
    rows: list[dict[str, Any]] = []
    owners: dict[str, Path] = {}
    for file in files:
        row: dict[str, Any] = {"file": str(file), "valid": True, "problems": []}
        try:
            manifest = manifests.load(settings, None, file)
            manifests.resolved(manifest, None)
            row["slug"] = manifest.slug
            if (other := owners.setdefault(manifest.slug, file)) != file:
                problem = ("slug", manifest.slug, f"given {manifest.slug}; {other} has the same one")
                raise InputError(f"{file}: this manifest has 1 problem", problems=[problem])
        except InputError as error:
            row["valid"] = False
            row["problems"] = error.details.get("problems") or [
                {"field": "file", "given": "", "message": error.message}
            ]
        rows.append(row)
    wrong = [row for row in rows if not row["valid"]]
    if output.as_json:
        output.document({"type": "validation", "valid": not wrong, "files": rows})
    for row in rows:
        output.say(f"{row['file']}: {'valid' if row['valid'] else 'not valid'}")
        for problem in row["problems"]:
            output.say(f"  {problem['field']}: {problem['message']}")
    if wrong:
        raise InputError(f"{len(wrong)} of {len(rows)} manifests are not valid", hint="correct what is listed above")


def show_engine(output: Output) -> None:
    """`tenantry engine`."""
    choice = choose(settings_for().engine)
    if output.as_json:
        output.document({"type": "engine", **choice.to_dict()})
        return
    output.say(f"{choice.name}: {choice.reason}{f' ({choice.path})' if choice.path else ''}")


def list_templates(output: Output) -> None:
    """`tenantry templates list`."""
    from stacks import catalog

    with manifests.explained():
        found = [one for store in catalog.stores() for one in store.list()]
    if output.as_json:
        rows = [{key: value for key, value in one.to_dict().items() if key != "settings"} for one in found]
        output.document({"type": "templates", "templates": rows})
        return
    print_table(
        output,
        ("TEMPLATE", "VERSION", "LINE", "ORIGIN", "TITLE"),
        ((one.id, one.version, one.line, "built in" if one.builtin else "custom", one.title) for one in found),
    )


def show_template(output: Output, template: str, version: str | None) -> None:
    """`tenantry templates show`."""
    import yaml

    from stacks import catalog

    with manifests.explained():
        found = catalog.get(catalog.stores(), template, version)
    if output.as_json:
        output.document({"type": "template", **found.to_dict()})
        return
    output.say(yaml.safe_dump(found.to_dict(), allow_unicode=True, sort_keys=False).rstrip())


def add_template(output: Output, file: Path) -> None:
    """`tenantry templates add`."""
    from stacks import catalog

    with manifests.explained():
        added = catalog.add(file)
    if output.as_json:
        output.document({"type": "template", **added.to_dict()})
        return
    output.say(f"template {added.id}@{added.version} is in {added.source}")
