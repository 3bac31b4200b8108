"""What was seen of a container, as the properties of docker.Container. Pure.

What the engine cannot change after creation is told as the program gave it, where the program gave it (`operations`
does that); environment, labels and uploads are known from the state alone, as they are mixed with the image's own.
"""

from collections.abc import Mapping
from typing import Any

from providers.docker import marks
from providers.docker.container_config import MEGABYTE, PLAIN_KEYS
from providers.docker.container_spec import duration
from providers.docker.names import SCHEMA_VERSION
from providers.plugin.wire import Plain

_NANO = 10**9
_SHORT_ID = 12


def facts_of(seen: Mapping[str, Any], image: Mapping[str, Any] | None, known: Plain) -> Plain:
    """`image` is what is known of its image; `known` the properties that the program or the state has."""
    config, host = seen["Config"], seen["HostConfig"]
    of_image = (image or {}).get("Config") or {}
    top, inside = PLAIN_KEYS
    facts: Plain = {name: config.get(key) for name, key in top.items() if name not in {"image", "envs"}}
    facts |= {name: host.get(key) for name, key in inside.items()}
    facts |= {
        "id": seen["Id"],
        "name": str(seen["Name"]).lstrip("/"),
        "image": _image(seen, image, known),
        "capabilities": _capabilities(host),
        "devices": [_device(each) for each in host.get("Devices") or []],
        "healthcheck": _healthcheck(config.get("Healthcheck")),
        "hosts": [dict(zip(("host", "ip"), each.split(":", 1), strict=False)) for each in host.get("ExtraHosts") or []],
        "logDriver": (host.get("LogConfig") or {}).get("Type"),
        "logOpts": (host.get("LogConfig") or {}).get("Config") or {},
        "mounts": [_mount(each) for each in host.get("Mounts") or []],
        "ports": _ports(seen),
        "shmSize": (host.get("ShmSize") or 0) // MEGABYTE,
        "ulimits": [{"name": u["Name"], "soft": u["Soft"], "hard": u["Hard"]} for u in host.get("Ulimits") or []],
        "networksAdvanced": _networks(seen, known),
        "networkDatas": _network_data(seen),
        "bridge": (seen.get("NetworkSettings") or {}).get("Bridge") or "",
        "init": bool(host.get("Init")),
        "platform": known.get("platform") or seen.get("Platform"),
        SCHEMA_VERSION: '{"schema_version":"2"}',
    }
    facts |= _limits(host) | _running(seen, known)
    if "volumes" not in known:
        facts["volumes"] = _volumes(host, config, of_image)
    if "envs" not in known:
        facts["envs"] = [each for each in config.get("Env") or [] if each not in (of_image.get("Env") or [])]
    if "labels" not in known:
        facts["labels"] = marks.told(config.get("Labels"), of_image.get("Labels"))
    return {name: value for name, value in facts.items() if value is not None}


def _image(seen: Mapping[str, Any], image: Mapping[str, Any] | None, known: Plain) -> str:
    """As the program calls it, as long as that is still the image that it was made from."""
    called = known.get("image") or seen["Config"].get("Image")
    return str(called) if called and image is not None and image.get("Id") == seen["Image"] else str(seen["Image"])


def _running(seen: Mapping[str, Any], known: Plain) -> Plain:
    state = seen["State"]
    if state.get("Running"):
        return {"mustRun": known.get("mustRun", True)}
    # One that is to run and does not is a difference, which an update mends.
    facts: Plain = {"mustRun": False if known.get("start", True) else known.get("mustRun", True)}
    return facts if state.get("Status") == "created" else facts | {"exitCode": state.get("ExitCode")}


def _limits(host: Mapping[str, Any]) -> Plain:
    policy = host.get("RestartPolicy") or {}
    swap, nano = host.get("MemorySwap") or 0, host.get("NanoCpus") or 0
    return {
        "restart": policy.get("Name") or "no",
        "maxRetryCount": policy.get("MaximumRetryCount") or 0,
        "memory": (host.get("Memory") or 0) // MEGABYTE,
        "memoryReservation": (host.get("MemoryReservation") or 0) // MEGABYTE,
        "memorySwap": swap // MEGABYTE if swap > 0 else swap,
        "cpuShares": host.get("CpuShares") or 0,
        "cpuSet": host.get("CpusetCpus") or "",
        "cpuPeriod": host.get("CpuPeriod") or 0,
        "cpuQuota": host.get("CpuQuota") or 0,
        "cpus": f"{nano / _NANO:g}" if nano else "",
    }


def _capabilities(host: Mapping[str, Any]) -> Plain | None:
    adds, drops = host.get("CapAdd") or [], host.get("CapDrop") or []
    return {"adds": adds, "drops": drops} if adds or drops else None


def _healthcheck(check: Mapping[str, Any] | None) -> Plain | None:
    if not check:
        return None
    return {
        "tests": check.get("Test") or [],
        "interval": duration(check.get("Interval") or 0),
        "timeout": duration(check.get("Timeout") or 0),
        "startPeriod": duration(check.get("StartPeriod") or 0),
        "retries": check.get("Retries") or 0,
    }


def _device(item: Mapping[str, Any]) -> Plain:
    return {
        "hostPath": item["PathOnHost"],
        "containerPath": item["PathInContainer"],
        "permissions": item["CgroupPermissions"],
    }


def _ports(seen: Mapping[str, Any]) -> list[Plain]:
    """As they are while it runs; else as they were asked for."""
    bound = (seen.get("NetworkSettings") or {}).get("Ports") or {}
    asked = seen["HostConfig"].get("PortBindings") or {}
    ports = []
    for port in sorted(asked, key=lambda each: (int(each.partition("/")[0]), each)):
        internal, _, protocol = port.partition("/")
        for binding in bound.get(port) or asked[port] or []:
            told: Plain = {"internal": int(internal), "ip": binding.get("HostIp") or "0.0.0.0", "protocol": protocol}  # noqa: S104
            if binding.get("HostPort"):
                told["external"] = int(binding["HostPort"])
            ports.append(told)
    return ports


def _mount(item: Mapping[str, Any]) -> Plain:
    told: Plain = {"target": item["Target"], "type": item["Type"], "readOnly": bool(item.get("ReadOnly"))}
    if item.get("Source"):
        told["source"] = item["Source"]
    bind, volume, tmpfs = (item.get(f"{kind}Options") for kind in ("Bind", "Volume", "Tmpfs"))
    if bind and bind.get("Propagation"):
        told["bindOptions"] = {"propagation": bind["Propagation"]}
    if volume:
        driver = volume.get("DriverConfig") or {}
        options = {
            "noCopy": bool(volume.get("NoCopy")),
            "labels": marks.told(volume.get("Labels")),
            "driverName": driver.get("Name"),
            "driverOptions": driver.get("Options"),
        }
        told["volumeOptions"] = {name: value for name, value in options.items() if value}
    if tmpfs:
        told["tmpfsOptions"] = {"sizeBytes": tmpfs.get("SizeBytes") or 0, "mode": tmpfs.get("Mode") or 0}
    return told


def _volumes(host: Mapping[str, Any], config: Mapping[str, Any], of_image: Mapping[str, Any]) -> list[Plain]:
    told: list[Plain] = []
    for bind in host.get("Binds") or []:
        source, _, rest = bind.partition(":")
        path, _, mode = rest.partition(":")
        name = "hostPath" if source.startswith("/") else "volumeName"
        told.append({name: source, "containerPath": path} | ({"readOnly": True} if "ro" in mode.split(",") else {}))
    for shared in host.get("VolumesFrom") or []:
        source, _, mode = shared.partition(":")
        told.append({"fromContainer": source} | ({"readOnly": True} if mode == "ro" else {}))
    own = (config.get("Volumes") or {}).keys() - (of_image.get("Volumes") or {}).keys()
    bound = {each.get("containerPath") for each in told}
    return told + [{"containerPath": path} for path in sorted(own - bound)]


def _networks(seen: Mapping[str, Any], known: Plain) -> list[Plain]:
    """Those that it is in, called as the program calls them; what its mode brings by itself is not one."""
    connected = dict((seen.get("NetworkSettings") or {}).get("Networks") or {})
    given = known.get("networksAdvanced") or []
    told = []
    for item in given:
        name = next((n for n, each in connected.items() if item.get("name") in (n, each.get("NetworkID"))), None)
        if name is not None:
            told.append(_network(str(item["name"]), connected.pop(name), str(seen["Id"])))
    mode = seen["HostConfig"].get("NetworkMode") or "bridge"
    brought = {mode, "bridge"} if mode == "default" else {mode}
    # Where the program names networks, it is taken out of the default one.
    told += [
        _network(name, each, str(seen["Id"]))
        for name, each in sorted(connected.items())
        if name not in brought or (given and seen["State"].get("Status") != "created")
    ]
    return told


def _network(name: str, each: Mapping[str, Any], container_id: str) -> Plain:
    address = each.get("IPAMConfig") or {}
    told = {
        "name": name,
        "aliases": [alias for alias in each.get("Aliases") or [] if alias != container_id[:_SHORT_ID]],
        "driverOpts": [f"{key}={value}" for key, value in (each.get("DriverOpts") or {}).items()],
        "ipv4Address": address.get("IPv4Address"),
        "ipv6Address": address.get("IPv6Address"),
        "linkLocalIps": address.get("LinkLocalIPs"),
    }
    return {key: value for key, value in told.items() if value}


def _network_data(seen: Mapping[str, Any]) -> list[Plain]:
    networks = (seen.get("NetworkSettings") or {}).get("Networks") or {}
    return [
        {
            "networkName": name,
            "gateway": each.get("Gateway") or "",
            "ipAddress": each.get("IPAddress") or "",
            "ipPrefixLength": each.get("IPPrefixLen") or 0,
            "globalIpv6Address": each.get("GlobalIPv6Address") or "",
            "globalIpv6PrefixLength": each.get("GlobalIPv6PrefixLen") or 0,
            "ipv6Gateway": each.get("IPv6Gateway") or "",
            "macAddress": each.get("MacAddress") or "",
        }
        for name, each in sorted(networks.items())
    ]
