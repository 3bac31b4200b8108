"""`pulumi up -C stacks/platform -s <name>`: platform.yaml becomes Tenantry itself on a cluster.

Decides where the settings are: TENANTRY_PLATFORM, else `platform.yaml` of the project's root. This folder is no package
on purpose: Pulumi puts `stacks/` on the path of a tenant's program, where it would hide Python's own module `platform`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pulumi

ROOT = Path(__file__).resolve().parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


def main() -> None:
    from stacks.installation.program import program_for
    from stacks.installation.settings import load
    from stacks.problems import InputError

    path = Path(os.environ.get("TENANTRY_PLATFORM") or ROOT / "platform.yaml")
    try:
        platform = load(path)
    except InputError as error:
        raise pulumi.RunError(str(error)) from None
    program_for(platform)()


if __name__ == "__main__":
    main()
