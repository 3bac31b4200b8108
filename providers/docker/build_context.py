"""The files that an image is built from: which they are, what they hold, and as the archive that the engine takes."""

import hashlib
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from providers.plugin.errors import RefusedError

_IN_MEMORY = 8 * 1024 * 1024
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """A folder, its Dockerfile (which may lie outside of it), and what `.dockerignore` leaves of it."""

    folder: Path
    dockerfile: Path
    paths: tuple[str, ...]

    @property
    def dockerfile_name(self) -> str:
        """How the engine is told of it."""
        if self.dockerfile.is_relative_to(self.folder):
            return self.dockerfile.relative_to(self.folder).as_posix()
        return f".dockerfile.{hashlib.sha256(str(self.dockerfile).encode()).hexdigest()[:12]}"


def find(build: Mapping[str, Any]) -> BuildContext:
    """Raises RefusedError where there is no such folder or file."""
    given = str(build.get("context") or ".")
    if "://" in given or given.startswith(("git@", "github.com/")):
        raise RefusedError(
            f"cannot build from {given}: only folders are served here; fetch it first, or use the stock plugin"
        )
    folder = Path(given).resolve()
    if not folder.is_dir():
        raise RefusedError(f"cannot build from {given}: there is no such folder. Give build.context")
    named = build.get("dockerfile")
    dockerfile = Path(str(named)).resolve() if named else folder / "Dockerfile"
    if not dockerfile.is_file():
        inside = folder / str(named or "Dockerfile")
        hint = f"try {inside}" if named and inside.is_file() else "give build.dockerfile"
        raise RefusedError(f"cannot build from {given}: there is no Dockerfile at {named or dockerfile}: {hint}")
    return BuildContext(folder=folder, dockerfile=dockerfile, paths=_paths(folder, dockerfile))


def digest(context: BuildContext) -> str:
    """What the files are and hold, their modes with it; not when they were written."""
    total = hashlib.sha256()
    for path in context.paths:
        file = context.folder / path
        mode = file.lstat().st_mode & 0o7777
        if file.is_symlink():
            kind, held = "link", str(file.readlink()).encode()
        elif file.is_file():
            kind, held = "file", _hash_file(file).encode()
        else:
            kind, held = "folder", b""
        total.update(f"{kind} {mode:o} {path}\0".encode() + held + b"\0")
    total.update(context.dockerfile_name.encode() + b"\0" + _hash_file(context.dockerfile).encode())
    return total.hexdigest()


def archive(context: BuildContext) -> IO[bytes]:
    """The files, as a tar archive from its start. Owned by root, as `docker build` has them."""
    file = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115 - the caller's
    # BuildKit does not know the extended headers that Python writes by default.
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in context.paths:
            _add(tar, context.folder / path, path)
        if not context.dockerfile.is_relative_to(context.folder):
            _add(tar, context.dockerfile, context.dockerfile_name)
    file.seek(0)
    return file


def _add(tar: tarfile.TarFile, file: Path, name: str) -> None:
    if file.is_socket():
        return
    info = tar.gettarinfo(str(file), arcname=name)
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = int(info.mtime)
    if not info.isfile():
        tar.addfile(info)
        return
    with file.open("rb") as content:
        tar.addfile(info, content)


def _paths(folder: Path, dockerfile: Path) -> tuple[str, ...]:
    from providers.docker.sdk import exclude_paths

    # One that lies beside the Dockerfile and bears its name is for it alone.
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    ignore = own if own.is_file() else folder / ".dockerignore"
    lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    inside = dockerfile.relative_to(folder).as_posix() if dockerfile.is_relative_to(folder) else "Dockerfile"
    return tuple(sorted(exclude_paths(str(folder), patterns, dockerfile=inside)))


def _hash_file(file: Path) -> str:
    with file.open("rb") as content:
        total = hashlib.sha256()
        while chunk := content.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest()
