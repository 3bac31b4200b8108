"""Images by name: what is here, what is fetched from a registry or sent to it, and as whom.

Decides which registry a name means and who signs in there. An image that is here is never fetched again.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from providers.docker.client import Client
from providers.docker.config import RegistryAuth, host_of
from providers.docker.errors import one_line
from providers.plugin.errors import ProviderError

SILENCE_SECONDS = 120.0
"""How long the engine may say nothing while it fetches, sends or builds."""


def registry_of(name: str) -> str:
    """The registry of an image's name, `docker.io` where it names none."""
    first, slash, _ = name.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return host_of(first) if named else "docker.io"


def find(client: Client, name: str) -> dict[str, Any] | None:
    """What the engine knows of the image, by name or id."""
    return client.find(f"look for image {name!r}", lambda api: dict(api.inspect_image(name)))


def ensure(client: Client, name: str, platform: str = "", seconds: float = 0) -> dict[str, Any]:
    """The image, fetched if it is not here."""
    found = find(client, name)
    if found is None or not _fits(found, platform):
        _pull(client, name, platform, seconds)
        found = find(client, name)
    if found is None:
        raise ProviderError(
            f"cannot use image {name!r}: it was fetched, but is gone already: something else removes it"
        )
    return found


def digest(found: dict[str, Any]) -> str:
    """The image as the registry has it, NAME@sha256:..., or nothing where no registry has."""
    digests = found.get("RepoDigests") or []
    return str(digests[0]) if digests else ""


def push(client: Client, name: str, auth: RegistryAuth | None) -> None:
    repository, tag = _split(name)
    doing = f"push image {name!r}"
    hide = [auth.password] if auth and auth.password else []
    client.call(
        doing,
        lambda api: follow(
            client, api.push(repository, tag=tag, stream=True, decode=True, auth_config=_login(auth)), doing, hide
        ),
        seconds=SILENCE_SECONDS,
        hide=hide,
    )


def follow(client: Client, lines: Iterator[Any], doing: str, hide: Iterable[str] = ()) -> str:
    """What the engine tells of a long work, to its end: the id of an image that it names. Raises what it failed by."""
    made = ""
    for line in lines:
        client.require_going()
        if not isinstance(line, dict):
            raise ProviderError(f"cannot {doing}: what answers at {client.config.host} is no Docker engine")
        if "error" in line or "errorDetail" in line:
            detail = line.get("errorDetail") or {}
            raise ProviderError(one_line(doing, str(detail.get("message") or line.get("error")), hide))
        aux = line.get("aux")
        if isinstance(aux, dict) and "ID" in aux:
            made = str(aux["ID"])
    return made


def _pull(client: Client, name: str, platform: str, seconds: float) -> None:
    if name.startswith("sha256:"):
        raise ProviderError(
            f"cannot use image {name!r}: it is not here, and no registry is asked for an id. Build it first"
        )
    repository, tag = _split(name)
    auth = client.auth_for(registry_of(name))
    doing = f"fetch image {name!r}"
    hide = [auth.password] if auth and auth.password else []
    client.call(
        doing,
        lambda api: follow(
            client,
            api.pull(
                repository, tag=tag, stream=True, decode=True, auth_config=_login(auth), platform=platform or None
            ),
            doing,
            hide,
        ),
        seconds=min(seconds, SILENCE_SECONDS) if seconds else SILENCE_SECONDS,
        hide=hide,
    )


def _login(auth: RegistryAuth | None) -> dict[str, str] | None:
    # None lets the SDK look into the user's own configuration file.
    if auth is None:
        return None
    return {"username": auth.username, "password": auth.password} if auth.username else {}


def _split(name: str) -> tuple[str, str]:
    from providers.docker.sdk import parse_repository_tag

    repository, tag = parse_repository_tag(name)
    return repository, tag or "latest"


def _fits(found: dict[str, Any], platform: str) -> bool:
    parts = platform.split("/")
    return not platform or (found.get("Os"), found.get("Architecture")) == (parts[0], [*parts, ""][1])
