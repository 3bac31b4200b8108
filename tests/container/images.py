"""The sample application's image, made of this machine's Python: no registry is asked."""

import io
import re
import subprocess
import sys
import sysconfig
import tarfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

IMAGE = "tenantry-test/sample-app:1"
_LEFT_OUT = {
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "lib2to3",
    "site-packages",
    "__pycache__",
}
_PACKAGES = ("psycopg", "psycopg_binary", "psycopg_binary.libs", "typing_extensions.py")
_HOME = "opt/python"


def sample_image(engine: Any) -> str:
    repository, _, tag = IMAGE.partition(":")
    engine.api.import_image_from_data(
        _archive(),
        repository=repository,
        tag=tag,
        changes=[
            f"ENV PATH=/{_HOME}/bin:/bin PYTHONHOME=/{_HOME} PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1",
            'CMD ["python3", "-m", "sandbox.sample_app"]',
        ],
    )
    return IMAGE


def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        root = tarfile.TarInfo(".")
        root.type, root.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(root)
        tmp = tarfile.TarInfo("tmp")
        tmp.type, tmp.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(tmp)
        for source, target in _files().items():
            _add(archive, source, target)
    return buffer.getvalue()


def _files() -> dict[Path, str]:
    python = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    version = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
    files = {python: f"{_HOME}/bin/python3", Path("/bin/busybox"): "bin/sh"}
    for path in library.rglob("*"):
        parts = set(path.relative_to(library).parts)
        if path.is_file() and not parts & _LEFT_OUT and not any(part.startswith("config-") for part in parts):
            files[path] = f"{_HOME}/{version}/{path.relative_to(library)}"
    spec = find_spec("psycopg")
    assert spec is not None
    assert spec.origin is not None
    site = Path(spec.origin).parent.parent
    for name in _PACKAGES:
        found = site / name
        for path in found.rglob("*") if found.is_dir() else [found]:
            if path.is_file() and "__pycache__" not in path.parts:
                files[path] = f"{_HOME}/{version}/site-packages/{path.relative_to(site)}"
    sample = Path(__file__).resolve().parents[2] / "sandbox"
    for path in (sample / "__init__.py", *(sample / "sample_app").glob("*.py")):
        files[path] = f"app/sandbox/{path.relative_to(sample)}"
    programs = [path for path in files if path == python or ".so" in path.name]
    return files | {path: str(path).lstrip("/") for path in _libraries(programs)}


def _libraries(programs: list[Path]) -> set[Path]:
    said = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"(/\S+\.so[.\w-]*) \(0x", said) if "site-packages" not in found}


def _add(archive: tarfile.TarFile, source: Path, target: str) -> None:
    content = source.read_bytes()
    info = tarfile.TarInfo(target)
    info.size, info.mode = len(content), 0o755 if source.stat().st_mode & 0o100 else 0o644
    archive.addfile(info, io.BytesIO(content))
