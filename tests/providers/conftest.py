"""The provider plugin against each server there is: the embedded one, and TENANTRY_POSTGRES_URL's where it is set."""

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.providers.plugin import Plugin, PluginError, Server, launch

_REAL = os.environ.get("TENANTRY_POSTGRES_URL", "")
_SERVERS = ["embedded", *(["stock"] if _REAL else [])]


@pytest.fixture(params=_SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    if request.param == "stock":
        return Server(url=_REAL)
    return Server(url=request.getfixturevalue("postgres").url())


@pytest.fixture(scope="module")
def process() -> Iterator[Plugin]:
    plugin = launch()
    yield plugin
    plugin.stop()


@pytest.fixture
def plugin(process: Plugin, server: Server) -> Iterator[Plugin]:
    """A configured plugin; whatever the test made through it is removed at the end, last made first."""
    process.configure(**server.args)
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
