"""Finds, reads and resolves manifests for the operations, with every input error as one kind of error.

Decides where a tenant's manifest is looked for. What is valid is decided in `stacks`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automation.errors import InputError, NotFoundError
from automation.settings import Settings

if TYPE_CHECKING:
    from stacks.lines import Line, Manifest
    from stacks.resolve import ResolvedManifest
    from stacks.shape import Pinned


@contextmanager
def explained() -> Iterator[None]:
    """Turns the input errors of `stacks` into the automation's InputError."""
    from stacks.problems import InputError as StacksInputError

    try:
        yield
    except StacksInputError as error:
        problems = [(problem.field, problem.given, problem.message) for problem in error.problems]
        count = len(problems)
        raise InputError(
            f"{error.source}: this {error.noun} has {count} problem{'' if count == 1 else 's'}",
            hint="correct what is listed, then retry; nothing was touched",
            problems=problems,
        ) from None


def manifest_path(settings: Settings, tenant: str) -> Path:
    """`stacks/<tenant>.yaml`. Raises NotFoundError naming the closest one there is."""
    folder = settings.stacks_dir
    path = folder / f"{tenant}.yaml"
    if Path(tenant).name != tenant or not path.is_file():
        close = difflib.get_close_matches(tenant, tenants_with_manifest(settings), n=1)
        suggestion = f"did you mean '{close[0]}'? Otherwise " if close else ""
        raise NotFoundError(
            f"there is no manifest for tenant '{tenant}' in {folder}",
            hint=f"{suggestion}write stacks/{tenant}.yaml, or name the file with --file",
        )
    return path


def tenants_with_manifest(settings: Settings) -> list[str]:
    """The tenants that have a manifest in `stacks/`, sorted."""
    return sorted(path.stem for path in settings.stacks_dir.glob("*.yaml") if not path.name.startswith("Pulumi."))


def load(settings: Settings, tenant: str | None, file: Path | None) -> Manifest:
    """The manifest of `tenant`, from `file` where given. Raises InputError with every problem."""
    if file is None:
        if not tenant:
            raise InputError("no tenant given", hint="name a tenant, or a manifest with --file")
        file = manifest_path(settings, tenant)
    elif not file.is_file():
        raise NotFoundError(f"there is no manifest file {file}", hint="check the path given with --file")
    from stacks.problems import ManifestError
    from stacks.yaml_source import read_yaml

    with explained():
        return _parsed(read_yaml(file, ManifestError), str(file), tenant)


def parsed(data: object, tenant: str | None = None) -> Manifest:
    """The manifest in a mapping, by the line that its `kind` names. Raises InputError with every problem."""
    with explained():
        return _parsed(data, f"manifest of '{tenant}'" if tenant else "manifest", tenant)


def _parsed(data: object, source: str, tenant: str | None) -> Manifest:
    from stacks.lines import line_of

    manifest: Manifest = line_of(data, source).parse(data, source=source, stack=tenant)
    return manifest


def line_named(kind: str) -> Line:
    """The line of that kind. Raises InputError for one that this version does not know."""
    from stacks.lines import LINES

    if kind not in LINES:
        raise InputError(
            f"there is no product line '{kind}' in this version; known: {', '.join(sorted(LINES))}",
            hint="use the version of Tenantry that made the tenant, or a newer one",
        )
    return LINES[kind]


def pinned(
    template: tuple[str, str] | None, workflows: Mapping[str, str], last_good: Mapping[str, Any] | None
) -> Pinned:
    """What a tenant was built from: as its record says, its workflows as the last good settings have them."""
    from stacks.department.workflows import versions
    from stacks.shape import Pinned

    return Pinned(template=template, workflows={**workflows, **versions((last_good or {}).get("settings") or {})})


def resolved(manifest: Manifest, pinned: Pinned | None) -> ResolvedManifest[Any]:
    """The manifest over its template, at the version the tenant was built from."""
    line = line_named(manifest.kind)
    with explained():
        return line.resolve(manifest, line.templates(), pinned=pinned, source=f"manifest of '{manifest.slug}'")


def restored(data: Mapping[str, Any]) -> ResolvedManifest[Any]:
    """A manifest out of history."""
    from stacks.lines import line_of

    with explained():
        return line_of(data.get("manifest"), "saved manifest").restore(data)


def program(resolved: ResolvedManifest[Any]) -> Callable[[], None]:
    """The Pulumi program of a resolved manifest."""
    return line_named(resolved.manifest.kind).program(resolved)
