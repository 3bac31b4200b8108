"""The sample application's image, made of this machine's Python and what it needs: no registry is asked. Linux only.

By hand: `python -m sandbox.sample_app.image [--tag tenantry/sample] [--host unix:///var/run/docker.sock]`. It is of
this machine's architecture, and as old or new as this machine's libraries are: for trying things out.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sandbox import python_image
from sandbox.python_image import HOME, ImageError, python, with_libraries

TAG = "tenantry/sample:latest"
_PACKAGES = ("psycopg", "psycopg_binary", "psycopg_binary.libs", "typing_extensions.py")
_APPLICATION = Path(__file__).resolve().parent


def build(client: Any, tag: str = TAG) -> str:
    """Make the image on the engine of `client`, a docker.DockerClient. Raises ImageError."""
    repository, _, version = tag.partition(":")
    client.api.import_image_from_data(
        archive(),
        repository=repository,
        tag=version or "latest",
        changes=[
            f"ENV PATH=/{HOME}/bin:/bin PYTHONHOME=/{HOME} PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1",
            'CMD ["python3", "-m", "sandbox.sample_app"]',
        ],
    )
    return tag


def archive() -> bytes:
    """The image's files as a tar."""
    files = python(leave_out=("ensurepip",))
    version = f"{HOME}/lib/python{sys.version_info.major}.{sys.version_info.minor}"
    files |= {f"{version}/site-packages/{name}": path for name, path in _packages().items()}
    for path in (_APPLICATION.parent / "__init__.py", *_APPLICATION.glob("*.py")):
        files[f"app/sandbox/{path.relative_to(_APPLICATION.parent)}"] = path
    return python_image.archive(with_libraries(files))


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
