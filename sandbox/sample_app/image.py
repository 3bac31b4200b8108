"""The sample application's image, made of this machine's Python and what it needs: no registry is asked. Linux only.

By hand: `python -m sandbox.sample_app.image [--tag tenantry/sample] [--host unix:///var/run/docker.sock]`. It is of
this machine's architecture, and as old or new as this machine's libraries are: for trying things out.
"""

import argparse
import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TAG = "tenantry/sample:latest"
_LEFT_OUT = {"test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "site-packages", "__pycache__"}
_PACKAGES = ("psycopg", "psycopg_binary", "psycopg_binary.libs", "typing_extensions.py")
_HOME = "opt/python"
_APPLICATION = Path(__file__).resolve().parent


class ImageError(Exception):
    """Says what is missing."""


def build(client: Any, tag: str = TAG) -> str:
    """Make the image on the engine of `client`, a docker.DockerClient. Raises ImageError."""
    repository, _, version = tag.partition(":")
    client.api.import_image_from_data(
        archive(),
        repository=repository,
        tag=version or "latest",
        changes=[
            f"ENV PATH=/{_HOME}/bin:/bin PYTHONHOME=/{_HOME} PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1",
            'CMD ["python3", "-m", "sandbox.sample_app"]',
        ],
    )
    return tag


def archive() -> bytes:
    """The image's files as a tar."""
    if sys.platform != "linux" or not shutil.which("ldd"):
        raise ImageError("the image is made of this machine's own files, which must be those of a Linux with ldd")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        # The root is closed to the application's account otherwise.
        for name, mode in ((".", 0o755), ("tmp", 0o1777)):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            tar.addfile(folder)
        for target, source in sorted(_files().items()):
            _add(tar, source, target)
    return buffer.getvalue()


def _files() -> dict[str, Path]:
    """Where each file of the image comes from."""
    python, shell = Path(sys.executable).resolve(), Path("/bin/sh").resolve()
    files = {f"{_HOME}/bin/python3": python, "bin/sh": shell}
    version = f"{_HOME}/lib/python{sys.version_info.major}.{sys.version_info.minor}"
    files |= {f"{version}/{name}": path for name, path in _library().items()}
    files |= {f"{version}/site-packages/{name}": path for name, path in _packages().items()}
    for path in (_APPLICATION.parent / "__init__.py", *_APPLICATION.glob("*.py")):
        files[f"app/sandbox/{path.relative_to(_APPLICATION.parent)}"] = path
    programs = [path for path in files.values() if path in {python, shell} or ".so" in path.name]
    return files | {str(path).lstrip("/"): path for path in _needed_by(programs)}


def _library() -> dict[str, Path]:
    library = Path(sysconfig.get_path("stdlib"))
    found = {}
    for path in library.rglob("*"):
        parts = path.relative_to(library).parts
        if path.is_file() and not _LEFT_OUT & set(parts) and not any(part.startswith("config-") for part in parts):
            found[str(path.relative_to(library))] = path
    return found


def _packages() -> dict[str, Path]:
    spec = find_spec("psycopg")
    if spec is None or spec.origin is None:
        raise ImageError("psycopg is not installed here: pip install 'psycopg[binary]'")
    site = Path(spec.origin).parent.parent
    found = {}
    for name in _PACKAGES:
        for path in (site / name).rglob("*") if (site / name).is_dir() else [site / name]:
            if path.is_file() and "__pycache__" not in path.parts:
                found[str(path.relative_to(site))] = path
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


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 made, 1 not."""
    import docker
    from docker.errors import DockerException

    parser = argparse.ArgumentParser(prog="python -m sandbox.sample_app.image", description="Make the sample's image.")
    parser.add_argument("--tag", default=TAG, help=f"the image's name (default: {TAG})")
    parser.add_argument("--host", help="the Docker engine (default: DOCKER_HOST, or this machine's)")
    options = parser.parse_args(argv)
    try:
        client = docker.DockerClient(base_url=options.host) if options.host else docker.from_env()
        try:
            build(client, options.tag)
        finally:
            client.close()
    except (DockerException, ImageError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 1
    sys.stdout.write(f"{options.tag} is made\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
