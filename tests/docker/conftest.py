"""The docker plugin against the real engine that TENANTRY_TEST_DOCKER_HOST names (`.ci/docker start` makes one).

Its image is made here, of Debian's static busybox: no registry is asked.
"""

import io
import os
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.providers.plugin import Plugin, PluginError, launch

HOST = os.environ.get("TENANTRY_TEST_DOCKER_HOST", "")
IMAGE = "tenantry-test/busybox:1"
_APPLETS = ("sh", "sleep", "cat", "echo", "httpd", "wget", "env", "true", "false", "ls", "id", "touch", "test", "nc")


@pytest.fixture(scope="session")
def host() -> str:
    if not HOST:
        if os.environ.get("TENANTRY_REQUIRE_SERVERS"):
            pytest.fail("TENANTRY_TEST_DOCKER_HOST is not set: .ci/docker start FOLDER; FOLDER/host has it")
        pytest.skip("no Docker engine: set TENANTRY_TEST_DOCKER_HOST (.ci/docker start FOLDER; FOLDER/host has it)")
    return HOST


@pytest.fixture(scope="session")
def engine(host: str) -> Iterator[Any]:
    client = docker.DockerClient(base_url=host, timeout=60)
    yield client
    client.close()


def busybox_archive() -> bytes:
    busybox = Path("/bin/busybox").read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for folder in ("bin", "tmp", "data", "etc", "www"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(info)
        info = tarfile.TarInfo("bin/busybox")
        info.size, info.mode = len(busybox), 0o755
        archive.addfile(info, io.BytesIO(busybox))
        for name in _APPLETS:
            info = tarfile.TarInfo(f"bin/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(info)
        index = b"it works\n"
        info = tarfile.TarInfo("www/index.html")
        info.size = len(index)
        archive.addfile(info, io.BytesIO(index))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def image(engine: Any) -> str:
    """A shell with the usual commands, which sleeps unless told otherwise."""
    repository, _, tag = IMAGE.partition(":")
    engine.api.import_image_from_data(
        busybox_archive(),
        repository=repository,
        tag=tag,
        changes=['CMD ["sleep","600"]', "ENV OF_THE_IMAGE=1", "LABEL of=image"],
    )
    return IMAGE


@pytest.fixture(scope="module")
def process() -> Iterator[Plugin]:
    plugin = launch(module="providers.docker")
    yield plugin
    plugin.stop()


@pytest.fixture
def plugin(process: Plugin, host: str, image: str) -> Iterator[Plugin]:
    """A configured plugin; whatever the test made through it is removed at the end, last made first."""
    process.configure(host=host)
    process.created.clear()
    yield process
    left = []
    for resource in reversed(process.created.copy()):
        try:
            process.delete(resource)
        except PluginError as error:
            left.append(str(error))
    assert not left


@pytest.fixture
def unique() -> str:
    """A prefix for names, so that tests do not meet."""
    return f"t{secrets.token_hex(4)}"
