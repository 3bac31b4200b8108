"""`pulumi up -s <tenant>`: the manifest at `stacks/<tenant>.yaml` becomes that stack.

Decides where the manifest is, and shows wrong input as one pulumi error without a stack trace.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi

HERE = Path(__file__).resolve().parent
# Pulumi runs this folder as a script, so the project's root is not on the path by itself.
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))


def main() -> None:
    from providers.errors import ProviderError
    from stacks.lines import line_of
    from stacks.problems import InputError, ManifestError
    from stacks.program import tenant_mark
    from stacks.yaml_source import read_yaml

    stack = pulumi.get_stack()
    path = _relative(HERE / f"{stack}.yaml")
    if not path.is_file():
        raise pulumi.RunError(f"no manifest for the stack {stack}: write stacks/{stack}.yaml, or select another stack")
    try:
        data = read_yaml(path, ManifestError)
        line = line_of(data, str(path))
        manifest = line.parse(data, source=str(path), stack=stack)
        mark = tenant_mark(pulumi.get_project(), stack)
        # A newer template never changes a tenant unasked (CORE-8).
        pinned = line.pinned(manifest.slug, mark)
        resolved = line.resolve(manifest, line.templates(), pinned=pinned, source=str(path))
    except (InputError, ProviderError) as error:
        raise pulumi.RunError(str(error)) from None
    line.program(resolved)()


def _relative(path: Path) -> Path:
    # Messages name the file as its reader would.
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    main()
