"""A provider whose objects are files in the folder THINGS, for programs whose provider must be importable.

Inputs say what else is to happen in a create: `stop` is the folder of a database server that is stopped then, `needs` a
path without which there is an error.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

from pulumi import Output, ResourceOptions
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult


def _folder() -> Path:
    return Path(os.environ["THINGS"])


class Things(ResourceProvider):
    """Each object is a file NAME.ID."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        if props.get("stop"):
            from sandbox import postgres

            postgres.stop(Path(props["stop"]))
        if not Path(props.get("needs", "/")).exists():
            raise OSError("not ready")
        id_ = f"{props['name']}.{uuid.uuid4().hex[:8]}"
        (_folder() / id_).write_text(str(props["size"]), encoding="utf-8")
        return CreateResult(id_, props)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=any(olds.get(key) != news.get(key) for key in ("size", "secret")))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        (_folder() / _id).write_text(str(news["size"]), encoding="utf-8")
        return UpdateResult(news)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_ if (_folder() / id_).exists() else "", props)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        (_folder() / _id).unlink(missing_ok=True)


class Thing(Resource):
    size: Output[int]

    def __init__(self, name: str, opts: ResourceOptions | None = None, **props: Any) -> None:
        super().__init__(Things(), name, {"name": name, **props}, opts)


def names() -> list[str]:
    """The objects that there are."""
    return sorted(path.name.split(".")[0] for path in _folder().iterdir())
