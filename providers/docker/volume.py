"""docker.Volume: a volume, known by its name. Nothing of it can be changed.

What is in it is never put at risk: one that is there already, made from other inputs, is refused rather than removed.
"""

from typing import Any

from providers.docker import marks
from providers.docker.client import Client
from providers.docker.errors import EngineError, MissingError
from providers.docker.names import NAME, SCHEMA_VERSION, valid_name
from providers.docker.network import LABELS
from providers.plugin.errors import ConflictError, RefusedError
from providers.plugin.properties import Failure, Kind, Property
from providers.plugin.resource import Call, refuse_foreign
from providers.plugin.wire import Plain

REMOVE_SECONDS = 30.0


class Volume:
    token = "docker:index/volume:Volume"  # noqa: S105
    exclusive = True
    spec = (
        NAME,
        Property(name="cluster", refused="volumes of a swarm need the stock plugin"),
        Property(name="driver", computed=True, replaces=True),
        Property(name="driverOpts", kind=Kind.MAP, replaces=True),
        Property(name="labels", kind=Kind.OBJECT_SET, replaces=True, fields=LABELS),
        Property(name="mountpoint", computed=True, output=True),
        Property(name=SCHEMA_VERSION, output=True),
    )

    def validate(self, inputs: Plain) -> list[Failure]:
        return valid_name(inputs)

    def identify(self, call: Call[Client], inputs: Plain) -> str:  # noqa: ARG002
        return str(inputs["name"])

    def parse_id(self, object_id: str) -> Plain:
        if not object_id:
            raise RefusedError("the id of a Volume is its name")
        return {"name": object_id}

    def create(self, call: Call[Client], inputs: Plain) -> str:
        name, digest = str(inputs["name"]), marks.digest_of(inputs, call.mark)
        found = _find(call.client, name)
        if found is None:
            # The engine gives the one that is there where another run was quicker: looked at again below.
            call.client.call(
                f"create volume {name!r}",
                lambda api: api.create_volume(
                    name=name,
                    driver=inputs.get("driver"),
                    driver_opts=inputs.get("driverOpts"),
                    labels=marks.marked(inputs, call.mark, digest),
                ),
            )
            found = _find(call.client, name) or {}
        labels = found.get("Labels") or {}
        refuse_foreign(call.mark, f"volume {name!r}", labels.get(marks.MARK))
        if labels.get(marks.DIGEST) != digest:
            raise ConflictError(
                f"cannot create volume {name!r}: it is there, made from other inputs by an earlier run, and may hold "
                f"data. Remove it by hand (docker volume rm), or take it over with `pulumi import`"
            )
        return name

    def read(self, call: Call[Client], known: Plain) -> Plain | None:
        found = _find(call.client, call.object_id or str(known["name"]))
        if found is None:
            return None
        return {
            "name": found["Name"],
            "driver": found.get("Driver"),
            "driverOpts": found.get("Options") or {},
            "labels": marks.told(found.get("Labels")),
            "mountpoint": found.get("Mountpoint"),
            SCHEMA_VERSION: '{"schema_version":"1"}',
        }

    def update(self, call: Call[Client], olds: Plain, news: Plain, changed: frozenset[str]) -> None:
        """Nothing of it can be changed; what is here is all that there is."""

    def delete(self, call: Call[Client], olds: Plain) -> None:
        name = call.object_id or str(olds["name"])
        last = ""

        def gone() -> bool:
            nonlocal last
            try:
                call.client.call(f"remove volume {name!r}", lambda api: api.remove_volume(name, force=True))
            except MissingError:
                return True
            except EngineError as error:
                if "in use" not in str(error):
                    raise
                last = str(error)
                return False
            return True

        if not call.client.wait_until(call.timeout or REMOVE_SECONDS, gone):
            raise EngineError(last, status=409)


def _find(client: Client, name: str) -> dict[str, Any] | None:
    return client.find(f"look for volume {name!r}", lambda api: dict(api.inspect_volume(name)))
