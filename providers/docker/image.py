"""docker.Image: an image built from a folder and, unless `skipPush`, sent to its registry.

Known by its name. As with the stock provider, another content is a new build under the same name, and nothing is
removed at the end: whatever was made from it may still need it.
"""

import os
from dataclasses import replace
from typing import Any

from providers.docker import build_context, images
from providers.docker.client import Client
from providers.docker.config import RegistryAuth, host_of
from providers.plugin.errors import RefusedError
from providers.plugin.properties import DEFAULTS_KEY, Failure, Kind, Property
from providers.plugin.resource import Call
from providers.plugin.wire import Plain, has_unknown

V1, BUILDKIT = "BuilderV1", "BuilderBuildKit"
_NO_DIFFERENCE = {"canonical": lambda _: ""}

_BUILD = (
    Property(name="addHosts", kind=Kind.LIST),
    Property(name="args", kind=Kind.MAP),
    Property(name="builderVersion", choices=(V1, BUILDKIT)),
    Property(name="cacheFrom", kind=Kind.OBJECT, fields=(Property(name="images", kind=Kind.LIST, required=True),)),
    Property(name="context"),
    Property(name="dockerfile"),
    Property(name="network"),
    Property(name="platform"),
    Property(name="target"),
    # What the files hold: filled in by each check, so that another content is a difference.
    Property(name="contextDigest", output=True),
)
_REGISTRY = (
    Property(name="server"),
    # These may be others each time; they are no reason to build again.
    Property(name="username", **_NO_DIFFERENCE),  # type: ignore[arg-type]
    Property(name="password", **_NO_DIFFERENCE),  # type: ignore[arg-type]
)


class Image:
    token = "docker:index/image:Image"  # noqa: S105
    exclusive = False
    spec = (
        Property(name="imageName", required=True),
        Property(name="build", kind=Kind.OBJECT, fields=_BUILD),
        Property(name="buildOnPreview", kind=Kind.BOOL),
        Property(name="registry", kind=Kind.OBJECT, secret=True, fields=_REGISTRY),
        Property(name="skipPush", kind=Kind.BOOL, default=False),
        Property(name="baseImageName", computed=True, output=True),
        Property(name="context", computed=True, output=True),
        Property(name="dockerfile", computed=True, output=True),
        Property(name="platform", computed=True, output=True),
        Property(name="registryServer", computed=True, output=True),
        Property(name="repoDigest", computed=True, output=True, volatile=True),
    )

    def validate(self, inputs: Plain) -> list[Failure]:
        failures = []
        if inputs.get("buildOnPreview") is True:
            reason = "property 'buildOnPreview' is not served: a preview touches nothing here. Leave it out"
            failures.append(Failure(property="buildOnPreview", reason=reason))
        name = inputs.get("imageName")
        if isinstance(name, str) and (not name or "@" in name):
            reason = f"property 'imageName' is {name!r}: it must be REPOSITORY or REPOSITORY:TAG"
            failures.append(Failure(property="imageName", reason=reason))
        elif isinstance(name, str) and inputs.get("skipPush") is False and "/" not in name:
            reason = f"property 'imageName' is {name!r}: to be pushed, it must name its registry (docker.io/me/{name})"
            failures.append(Failure(property="imageName", reason=reason))
        return failures

    def complete(self, inputs: Plain) -> Plain:
        build = inputs.get("build") or {}
        if has_unknown(build):
            return inputs
        context = build_context.find(build)
        return inputs | {"build": build | {"contextDigest": build_context.digest(context)}}

    def identify(self, call: Call[Client], inputs: Plain) -> str:  # noqa: ARG002
        return str(inputs["imageName"])

    def parse_id(self, object_id: str) -> Plain:
        raise RefusedError(f"an Image cannot be imported ({object_id!r}): it is built; declare it")

    def create(self, call: Call[Client], inputs: Plain) -> None:
        build = inputs.get("build") or {}
        name = str(inputs["imageName"])
        _build(call, name, build, _auth(call.client, inputs))
        if not inputs.get("skipPush"):
            images.push(call.client, name, _auth(call.client, inputs))

    def read(self, call: Call[Client], known: Plain) -> Plain | None:
        """Gone only if it is nowhere: one that was pushed may have left this engine."""
        name, build = str(known["imageName"]), known.get("build") or {}
        found = images.find(call.client, name)
        if found is None:
            return None if known.get("skipPush") else {"imageName": name}
        # One that was not pushed has no digest in a registry: its id says which it is.
        digest = found["Id"] if known.get("skipPush") else images.digest(found) or found["Id"]
        return {
            "baseImageName": name,
            "context": str(build.get("context") or "."),
            "dockerfile": str(build.get("dockerfile") or "Dockerfile"),
            "platform": "/".join(filter(None, (found.get("Os"), found.get("Architecture"), found.get("Variant")))),
            "registryServer": str((known.get("registry") or {}).get("server") or images.registry_of(name)),
            "repoDigest": digest,
        }

    def update(self, call: Call[Client], olds: Plain, news: Plain, changed: frozenset[str]) -> None:  # noqa: ARG002
        self.create(call, news)

    def delete(self, call: Call[Client], olds: Plain) -> None:
        """It stays, as with the stock provider: `docker image rm` removes it."""


def _auth(client: Client, inputs: Plain) -> RegistryAuth | None:
    """The program's own for this image, or the provider's for its registry."""
    registry = inputs.get("registry") or {}
    server = (
        host_of(str(registry["server"])) if registry.get("server") else images.registry_of(str(inputs["imageName"]))
    )
    if registry.get("username") and registry.get("password"):
        return RegistryAuth(address=server, username=str(registry["username"]), password=str(registry["password"]))
    found = client.auth_for(server)
    return replace(found) if found else None


def _build(call: Call[Client], name: str, build: Plain, auth: RegistryAuth | None) -> None:
    context = build_context.find(build)
    arguments = {key: value for key, value in (build.get("args") or {}).items() if key != DEFAULTS_KEY}
    hide = [str(value) for value in arguments.values()] + ([auth.password] if auth and auth.password else [])
    doing = f"build image {name!r}"
    logins = [*call.client.config.registries, *([auth] if auth else [])]
    auths = {each.address: {"username": each.username, "password": each.password} for each in logins if each.username}

    def run(api: Any) -> str:
        with build_context.archive(context) as archive:
            lines = api.build_archive(archive, _options(name, build, context, arguments), auths)
            return images.follow(call.client, lines, doing, hide)

    call.client.call(doing, run, seconds=images.SILENCE_SECONDS, hide=hide)


def _options(name: str, build: Plain, context: build_context.BuildContext, arguments: Plain) -> dict[str, Any]:
    default = V1 if os.environ.get("DOCKER_BUILDKIT") == "0" else BUILDKIT
    options: dict[str, Any] = {
        "t": name,
        "dockerfile": context.dockerfile_name,
        "rm": "1",
        "forcerm": "1",
        "version": "1" if (build.get("builderVersion") or default) == V1 else "2",
        "buildargs": arguments,
        "target": build.get("target"),
        "platform": build.get("platform"),
        "networkmode": build.get("network"),
        "cachefrom": (build.get("cacheFrom") or {}).get("images"),
        "extrahosts": "\n".join(build.get("addHosts") or []) if build.get("addHosts") else None,
    }
    return {key: value for key, value in options.items() if value}
