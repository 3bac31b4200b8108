"""docker.RemoteImage: an image that a registry has, here. One that is here already is taken as it is."""

from providers.docker import images
from providers.docker.client import Client
from providers.docker.errors import MissingError
from providers.plugin.errors import RefusedError
from providers.plugin.properties import Failure, Kind, Property
from providers.plugin.resource import Call
from providers.plugin.wire import Plain


class RemoteImage:
    token = "docker:index/remoteImage:RemoteImage"  # noqa: S105
    exclusive = False
    spec = (
        Property(name="name", required=True, replaces=True),
        Property(name="build", refused="images are built by docker.Image here"),
        Property(name="forceRemove", kind=Kind.BOOL),
        Property(name="keepLocally", kind=Kind.BOOL),
        Property(name="platform", replaces=True),
        Property(name="pullTriggers", kind=Kind.SET, replaces=True),
        Property(name="triggers", kind=Kind.MAP, replaces=True),
        Property(name="imageId", computed=True, output=True),
        Property(name="repoDigest", computed=True, output=True),
    )

    def validate(self, inputs: Plain) -> list[Failure]:
        name = inputs.get("name")
        if isinstance(name, str) and not name.strip():
            return [Failure(property="name", reason="property 'name' is empty: give the image's name")]
        return []

    def same_key(self, olds: Plain, news: Plain) -> bool:
        # Fetched again, it would be the old one's removal that takes it away.
        return olds.get("name") == news.get("name")

    def identify(self, call: Call[Client], inputs: Plain) -> str:  # noqa: ARG002
        return f"{inputs['imageId']}{inputs['name']}"

    def parse_id(self, object_id: str) -> Plain:
        raise RefusedError(
            f"a RemoteImage cannot be imported ({object_id!r}): declare it; one that is here is not fetched"
        )

    def create(self, call: Call[Client], inputs: Plain) -> None:
        images.ensure(call.client, str(inputs["name"]), str(inputs.get("platform") or ""), call.timeout)

    def read(self, call: Call[Client], known: Plain) -> Plain | None:
        found = images.find(call.client, str(known["name"]))
        if found is None:
            return None
        return {"name": known["name"], "imageId": found["Id"], "repoDigest": images.digest(found)}

    def update(self, call: Call[Client], olds: Plain, news: Plain, changed: frozenset[str]) -> None:
        """Only what its removal is to do can change."""

    def delete(self, call: Call[Client], olds: Plain) -> None:
        name, force = str(olds["name"]), bool(olds.get("forceRemove"))
        if olds.get("keepLocally"):
            return
        try:
            call.client.call(f"remove image {name!r}", lambda api: api.remove_image(name, force=force))
        except MissingError:
            return
