"""docker.Network: a network, known by its id. Nothing of it can be changed; each change is another network."""

from typing import Any

from providers.docker import marks
from providers.docker.client import Client
from providers.docker.errors import EngineError, MissingError
from providers.docker.names import NAME, SCHEMA_VERSION, valid_name
from providers.plugin.errors import RefusedError
from providers.plugin.properties import Failure, Kind, Property
from providers.plugin.resource import Call, refuse_foreign
from providers.plugin.wire import Plain

REMOVE_SECONDS = 30.0
_IPAM = (
    Property(name="subnet", computed=True),
    Property(name="ipRange", computed=True),
    Property(name="gateway", computed=True),
    Property(name="auxAddress", kind=Kind.MAP, computed=True),
)
LABELS = (Property(name="label", required=True), Property(name="value", required=True))


class Network:
    token = "docker:index/network:Network"  # noqa: S105
    exclusive = True
    spec = (
        NAME,
        Property(name="attachable", kind=Kind.BOOL, replaces=True),
        Property(name="driver", computed=True, replaces=True),
        Property(name="ingress", kind=Kind.BOOL, replaces=True),
        Property(name="internal", kind=Kind.BOOL, computed=True, replaces=True),
        Property(name="ipamConfigs", kind=Kind.OBJECT_SET, computed=True, replaces=True, fields=_IPAM),
        Property(name="ipamDriver", default="default", replaces=True),
        Property(name="ipamOptions", kind=Kind.MAP, computed=True, replaces=True),
        Property(name="ipv6", kind=Kind.BOOL, replaces=True),
        Property(name="labels", kind=Kind.OBJECT_SET, replaces=True, fields=LABELS),
        Property(name="options", kind=Kind.MAP, computed=True, replaces=True),
        Property(name="scope", computed=True, output=True),
        Property(name=SCHEMA_VERSION, output=True),
    )

    def validate(self, inputs: Plain) -> list[Failure]:
        return valid_name(inputs)

    def identify(self, call: Call[Client], inputs: Plain) -> str:  # noqa: ARG002
        return str(inputs["id"])

    def parse_id(self, object_id: str) -> Plain:
        if not object_id:
            raise RefusedError("the id of a Network is its id or its name")
        return {"name": object_id}

    def create(self, call: Call[Client], inputs: Plain) -> str:
        name, digest = str(inputs["name"]), marks.digest_of(inputs, call.mark)
        found = _by_name(call.client, name)
        if found is not None:
            labels = found.get("Labels") or {}
            refuse_foreign(call.mark, f"network {name!r}", labels.get(marks.MARK))
            if labels.get(marks.DIGEST) == digest:
                return str(found["Id"])
            # Made from other inputs by a run that was killed: it holds nothing.
            _remove(call, str(found["Id"]), name)
        body: dict[str, Any] = {
            "driver": inputs.get("driver") or "bridge",
            "options": inputs.get("options"),
            "internal": bool(inputs.get("internal")),
            "attachable": bool(inputs.get("attachable")),
            "ingress": bool(inputs.get("ingress")),
            "enable_ipv6": bool(inputs.get("ipv6")),
            "ipam": _ipam(inputs),
            "labels": marks.marked(inputs, call.mark, digest),
            "check_duplicate": True,
        }

        def make() -> str:
            return str(call.client.call(f"create network {name!r}", lambda api: api.create_network(name, **body))["Id"])

        def look() -> str | None:
            late = _by_name(call.client, name)
            return str(late["Id"]) if late and marks.is_of(late.get("Labels"), call.mark, digest) else None

        return call.client.making(make, look)

    def read(self, call: Call[Client], known: Plain) -> Plain | None:
        client, name = call.client, str(known.get("name"))
        found = _by_id(client, call.object_id) if call.object_id else _by_name(client, name)
        return None if found is None else _facts(found)

    def update(self, call: Call[Client], olds: Plain, news: Plain, changed: frozenset[str]) -> None:
        """Nothing of it can be changed; what is here is all that there is."""

    def delete(self, call: Call[Client], olds: Plain) -> None:
        _remove(call, call.object_id, str(olds.get("name")))


def _by_id(client: Client, object_id: str) -> dict[str, Any] | None:
    return client.find(f"look for network {object_id!r}", lambda api: dict(api.inspect_network(object_id)))


def _by_name(client: Client, name: str) -> dict[str, Any] | None:
    def look(api: Any) -> str:
        # The engine's filter takes parts of names too.
        return next((str(each["Id"]) for each in api.networks(names=[name]) if each["Name"] == name), "")

    found = client.call(f"look for network {name!r}", look)
    return _by_id(client, found) if found else None


def _remove(call: Call[Client], object_id: str, name: str) -> None:
    """Gone, as soon as the containers are that were in it just now."""
    last = ""

    def gone() -> bool:
        nonlocal last
        try:
            call.client.call(f"remove network {name!r}", lambda api: api.remove_network(object_id))
        except MissingError:
            return True
        except EngineError as error:
            if "active endpoints" not in str(error):
                raise
            last = str(error)
            return False
        return True

    if not call.client.wait_until(call.timeout or REMOVE_SECONDS, gone):
        found = _by_id(call.client, object_id) or {}
        names = sorted(str(each.get("Name")) for each in (found.get("Containers") or {}).values())
        raise EngineError(f"{last} ({', '.join(names) or 'the engine does not say which'})", status=409)


def _ipam(inputs: Plain) -> dict[str, Any]:
    configs = [
        {
            "Subnet": item.get("subnet"),
            "IPRange": item.get("ipRange"),
            "Gateway": item.get("gateway"),
            "AuxiliaryAddresses": item.get("auxAddress"),
        }
        for item in inputs.get("ipamConfigs") or []
    ]
    return {
        "Driver": inputs.get("ipamDriver") or "default",
        "Options": inputs.get("ipamOptions"),
        "Config": [{name: value for name, value in each.items() if value} for each in configs],
    }


def _facts(found: dict[str, Any]) -> Plain:
    ipam = found.get("IPAM") or {}
    return {
        "id": found["Id"],
        "name": found["Name"],
        "attachable": found.get("Attachable", False),
        "driver": found.get("Driver"),
        "ingress": found.get("Ingress", False),
        "internal": found.get("Internal", False),
        "ipamConfigs": [_ipam_told(each) for each in ipam.get("Config") or []],
        "ipamDriver": ipam.get("Driver"),
        "ipamOptions": ipam.get("Options") or {},
        "ipv6": found.get("EnableIPv6", False),
        "labels": marks.told(found.get("Labels")),
        "options": found.get("Options") or {},
        "scope": found.get("Scope"),
        SCHEMA_VERSION: '{"schema_version":"1"}',
    }


def _ipam_told(item: dict[str, Any]) -> dict[str, Any]:
    told = {
        "subnet": item.get("Subnet"),
        "ipRange": item.get("IPRange"),
        "gateway": item.get("Gateway"),
        "auxAddress": item.get("AuxiliaryAddresses"),
    }
    return {name: value for name, value in told.items() if value}
