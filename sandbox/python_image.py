"""Images of this machine's Python and the libraries that it needs, for a Docker engine that reaches no registry.

Decides which files of this machine that takes. Linux only; such an image is of this machine's architecture, and as old
or new as its libraries are: for trying things out, and for tests.
"""

import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

HOME = "opt/python"
_NEVER = {"test", "tests", "idlelib", "tkinter", "turtledemo", "site-packages", "__pycache__"}


class ImageError(Exception):
    """Says what is missing."""


def python(leave_out: Collection[str] = ()) -> dict[str, Path]:
    """Where each file of Python comes from, by its place in the image; without these folders of its library."""
    program, shell = Path(sys.executable).resolve(), Path("/bin/sh").resolve()
    version = f"{HOME}/lib/python{sys.version_info.major}.{sys.version_info.minor}"
    library = {f"{version}/{name}": path for name, path in _library({*_NEVER, *leave_out}).items()}
    return {f"{HOME}/bin/python3": program, "bin/sh": shell, **library}


def with_libraries(files: Mapping[str, Path], also: Iterable[Path] = ()) -> dict[str, Path]:
    """`files`, and the machine's shared libraries that they and `also` need, which stay where they are."""
    if sys.platform != "linux" or not shutil.which("ldd"):
        raise ImageError("the image is made of this machine's own files, which must be those of a Linux with ldd")
    programs = [path for name, path in files.items() if "/bin/" in f"/{name}" or ".so" in path.name]
    return {**files, **{str(path).lstrip("/"): path for path in _needed_by([*programs, *also])}}


def archive(files: Mapping[str, Path]) -> bytes:
    """The image's files as a tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        # The root is closed to the application's account otherwise.
        # A volume that is mounted at `data` becomes as that folder is.
        for name, mode in ((".", 0o755), ("tmp", 0o1777), ("data", 0o1777)):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            tar.addfile(folder)
        for target, source in sorted(files.items()):
            _add(tar, source, target)
    return buffer.getvalue()


def _library(leave_out: set[str]) -> dict[str, Path]:
    library = Path(sysconfig.get_path("stdlib"))
    found = {}
    for path in library.rglob("*"):
        parts = path.relative_to(library).parts
        if path.is_file() and not leave_out & set(parts) and not any(part.startswith("config-") for part in parts):
            found[str(path.relative_to(library))] = path
    return found


def _needed_by(programs: list[Path]) -> set[Path]:
    """The machine's shared libraries; a package's own are where the package has them."""
    said = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    paths = {Path(found) for found in re.findall(r"(/\S+\.so[.\w-]*) \(0x", said)}
    return {path for path in paths if path.is_file() and "site-packages" not in path.parts}


def _add(tar: tarfile.TarFile, source: Path, target: str) -> None:
    content = source.read_bytes()
    info = tarfile.TarInfo(target)
    info.size, info.mode = len(content), 0o755 if source.stat().st_mode & 0o100 else 0o644
    tar.addfile(info, io.BytesIO(content))
