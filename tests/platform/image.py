"""Tenantry's image, built by deploy/Dockerfile on a real Docker engine that reaches neither a registry nor an index.

Its base is this machine's Python, its wheels are those of deploy/requirements.lock, fetched once and checked by hash.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import docker
from docker.utils.build import exclude_paths

from sandbox import python_image
from sandbox.python_image import HOME

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "deploy" / "requirements.lock"
BASE = "tenantry-test/python:1"
TAG = "tenantry-test/tenantry:1"


def build(client: docker.DockerClient, folder: Path) -> str:
    """Builds the image in a copy of the repository below `folder`; what an engine has built before, it has at once."""
    _base(client)
    context = _context(folder / "context")
    client.images.build(
        path=str(context),
        dockerfile="deploy/Dockerfile",
        tag=TAG,
        buildargs={"BASE": BASE, "PIP_NO_INDEX": "1"},
        pull=False,
        rm=True,
        timeout=600,
    )
    return TAG


def _base(client: docker.DockerClient) -> None:
    """The stand-in for python:3.11-slim."""
    if client.images.list(name=BASE):
        return
    packages = Path(sysconfig.get_path("purelib"))
    files = python_image.with_libraries(python_image.python(), also=packages.rglob("*.so*"))
    repository, _, tag = BASE.partition(":")
    client.api.import_image_from_data(
        python_image.archive(files), repository=repository, tag=tag, changes=[f"ENV PATH=/{HOME}/bin:/bin"]
    )


def _context(folder: Path) -> Path:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    wanted = [line for line in ignored if line and not line.startswith("#")]
    for name in sorted(exclude_paths(str(ROOT), wanted, dockerfile="deploy/Dockerfile")):
        source = ROOT / name
        if source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
    shutil.copytree(_wheels(), folder / "deploy" / "wheels", dirs_exist_ok=True)
    shutil.copyfile(ROOT / ".dockerignore", folder / ".dockerignore")
    return folder


def _wheels() -> Path:
    """The wheels of the lock file, from the user's cache; fetched where they are not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tenantry-ci"
    found = cache / f"wheels-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if not found.is_dir():
        partial = found.with_name(f"{found.name}.{os.getpid()}.part")
        options = ("--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary", ":all:")
        subprocess.run(
            [sys.executable, "-m", "pip", "download", *options, "-r", str(LOCK), "-d", str(partial)],
            check=True,
            timeout=500,
        )
        shutil.rmtree(found, ignore_errors=True)
        partial.rename(found)
    return found


def run(client: docker.DockerClient, pod: dict[str, Any], container: dict[str, Any], variables: dict[str, str]) -> Any:
    """Starts a container as the pod describes it, on the host's network, where the tests' servers are."""
    strict, limits = container["securityContext"], container["resources"]["limits"]
    assert strict == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    who = pod["securityContext"]
    empty = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    mounts = {mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] in empty}
    return client.containers.run(
        container["image"],
        container["args"],
        environment=variables,
        user=f"{who['runAsUser']}:{who['runAsGroup']}",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        # An emptyDir is its pod's to write; this engine leaves a folder the rights that it has in the image.
        tmpfs=dict.fromkeys(mounts, f"uid={who['runAsUser']},gid={who['fsGroup']}"),
        mem_limit=limits["memory"].replace("Mi", "m").replace("Gi", "g"),
        network_mode="host",
        detach=True,
    )
