"""A program over the SDK whose cloud is a folder, run in a process of its own that may be killed after its n-th save.

python -m tests.engine.core.kill_program FOLDER GENERATION KILL_AT
"""

from __future__ import annotations

import os
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

from pulumi import automation as auto
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult


class Files(ResourceProvider):
    """Each object is a file NAME.ID in the folder FILES; another `place` needs a replacement."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        id_ = f"{props['name']}.{uuid.uuid4().hex[:8]}"
        (Path(os.environ["FILES"]) / id_).write_text(str(props["size"]), encoding="utf-8")
        return CreateResult(id_, props)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        changed = [k for k in ("size", "place", "needs") if olds.get(k) != news.get(k)]
        return DiffResult(changes=bool(changed), replaces=["place"] if "place" in changed else [])

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        (Path(os.environ["FILES"]) / _id).write_text(str(news["size"]), encoding="utf-8")
        return UpdateResult(news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        (Path(os.environ["FILES"]) / _id).unlink(missing_ok=True)


class File(Resource):
    def __init__(self, name: str, **props: Any) -> None:
        # Of the size of the state it depends whether it is written whole, or as a journal.
        fill = "x" * int(os.environ.get("FILL", "0"))
        super().__init__(Files(), name, {"name": name, "fill": fill, **props})


def program(generation: int) -> None:
    a = File("a", size=generation, place="x")
    b = File("b", size=1, place=str(generation), needs=a.id)
    File("c", size=1, place="x", needs=b.id)
    if generation == 1:
        File("d", size=1, place="x", needs=a.id)


def main(folder: Path, generation: int, kill_at: int) -> None:
    from engine import journal as journals
    from engine.command import EmbeddedCommand

    write = journals.Journal._write
    written = 0

    def write_and_die(journal: Any, *marks: Any, **more: Any) -> None:
        nonlocal written
        write(journal, *marks, **more)
        written += 1
        if written == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    journals.Journal._write = write_and_die  # type: ignore[method-assign]
    options = auto.LocalWorkspaceOptions(
        work_dir=str(folder),
        pulumi_command=EmbeddedCommand(in_process=True),
        project_settings=auto.ProjectSettings(
            name="killed", runtime="python", backend=auto.ProjectBackend(url=f"file://{folder}")
        ),
    )
    stack = auto.create_or_select_stack(
        "test", project_name="killed", program=lambda: program(generation), opts=options
    )
    if not kill_at:
        stack.cancel()
    stack.up()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
