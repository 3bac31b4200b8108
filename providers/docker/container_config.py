"""What the engine is asked for a container, from its inputs: the body of POST /containers/create. Pure."""

import base64
import binascii
import io
import tarfile
from pathlib import Path
from typing import Any

from providers.docker.container_spec import nanoseconds
from providers.plugin.errors import RefusedError
from providers.plugin.properties import Failure
from providers.plugin.wire import UNKNOWN, Plain, has_unknown

MEGABYTE = 1024 * 1024
_DURATIONS = ("interval", "timeout", "startPeriod")

_TOP = {
    "image": "Image",
    "hostname": "Hostname",
    "domainname": "Domainname",
    "user": "User",
    "tty": "Tty",
    "stdinOpen": "OpenStdin",
    "envs": "Env",
    "command": "Cmd",
    "entrypoints": "Entrypoint",
    "workingDir": "WorkingDir",
    "stopSignal": "StopSignal",
    "stopTimeout": "StopTimeout",
}
_HOST = {
    "cgroupParent": "CgroupParent",
    "cgroupnsMode": "CgroupnsMode",
    "deviceCgroupRules": "DeviceCgroupRules",
    "dns": "Dns",
    "dnsOpts": "DnsOptions",
    "dnsSearches": "DnsSearch",
    "groupAdds": "GroupAdd",
    "init": "Init",
    "ipcMode": "IpcMode",
    "networkMode": "NetworkMode",
    "pidMode": "PidMode",
    "privileged": "Privileged",
    "publishAllPorts": "PublishAllPorts",
    "readOnly": "ReadonlyRootfs",
    "rm": "AutoRemove",
    "runtime": "Runtime",
    "securityOpts": "SecurityOpt",
    "storageOpts": "StorageOpt",
    "sysctls": "Sysctls",
    "tmpfs": "Tmpfs",
    "usernsMode": "UsernsMode",
}
PLAIN_KEYS = (_TOP, _HOST)
"""What the engine has under another name and in the same form."""


def create_body(inputs: Plain, labels: dict[str, str]) -> dict[str, Any]:
    body = {key: inputs[name] for name, key in _TOP.items() if inputs.get(name) is not None}
    host = {key: inputs[name] for name, key in _HOST.items() if inputs.get(name) is not None}
    body["Labels"] = labels
    if inputs.get("healthcheck") is not None:
        body["Healthcheck"] = _healthcheck(inputs["healthcheck"])
    bindings = _port_bindings(inputs)
    if bindings:
        body["ExposedPorts"] = {port: {} for port in bindings}
        host["PortBindings"] = bindings
    own, host["Binds"], host["VolumesFrom"] = _volumes(inputs)
    if own:
        body["Volumes"] = own
    host["Mounts"] = [_mount(item) for item in inputs.get("mounts") or []]
    host["ExtraHosts"] = [f"{item['host']}:{item['ip']}" for item in inputs.get("hosts") or []]
    host["Ulimits"] = [
        {"Name": item["name"], "Soft": item["soft"], "Hard": item["hard"]} for item in inputs.get("ulimits") or []
    ]
    host["Devices"] = [_device(item) for item in inputs.get("devices") or []]
    capabilities = inputs.get("capabilities") or {}
    host["CapAdd"], host["CapDrop"] = capabilities.get("adds") or [], capabilities.get("drops") or []
    if inputs.get("shmSize"):
        host["ShmSize"] = inputs["shmSize"] * MEGABYTE
    if inputs.get("logDriver") or inputs.get("logOpts"):
        host["LogConfig"] = {"Type": inputs.get("logDriver") or "", "Config": inputs.get("logOpts") or {}}
    host |= limits_body(inputs)
    body["HostConfig"] = host
    return body


def limits_body(inputs: Plain) -> dict[str, Any]:
    """What can be changed later too: restart policy, memory, processors."""
    memory, swap = inputs.get("memory") or 0, inputs.get("memorySwap") or 0
    body: dict[str, Any] = {
        "RestartPolicy": {
            "Name": inputs.get("restart") or "no",
            "MaximumRetryCount": inputs.get("maxRetryCount") or 0,
        },
        "Memory": memory * MEGABYTE,
        "MemoryReservation": (inputs.get("memoryReservation") or 0) * MEGABYTE,
        "MemorySwap": swap * MEGABYTE if swap > 0 else swap,
        "CpuShares": inputs.get("cpuShares") or 0,
        "CpusetCpus": inputs.get("cpuSet") or "",
    }
    if inputs.get("cpus"):
        body["NanoCpus"] = round(float(inputs["cpus"]) * 10**9)
    else:
        body |= {"CpuPeriod": inputs.get("cpuPeriod") or 0, "CpuQuota": inputs.get("cpuQuota") or 0}
    return {key: value for key, value in body.items() if value}


def endpoint(item: Plain) -> dict[str, Any]:
    """The arguments of connecting the container to one network."""
    options = dict(each.partition("=")[::2] for each in item.get("driverOpts") or [])
    return {
        "aliases": item.get("aliases"),
        "ipv4_address": item.get("ipv4Address"),
        "ipv6_address": item.get("ipv6Address"),
        "link_local_ips": item.get("linkLocalIps"),
        "driver_opt": options or None,
    }


def upload_archive(item: Plain) -> bytes:
    """One file as an archive to be unpacked at the root. Raises RefusedError where it cannot be read."""
    if item.get("source"):
        try:
            content = Path(str(item["source"])).read_bytes()
        except OSError as error:
            raise RefusedError(
                f"cannot upload {item['file']}: {item['source']} cannot be read: {error.strerror}"
            ) from None
    elif item.get("contentBase64"):
        content = base64.b64decode(str(item["contentBase64"]))
    else:
        content = str(item.get("content") or "").encode()
    info = tarfile.TarInfo(str(item["file"]))
    info.size = len(content)
    info.mode = (
        int(str(item["permissions"]), 8) if item.get("permissions") else (0o744 if item.get("executable") else 0o644)
    )
    info.uid, info.gid = int(item.get("owner") or 0), int(item.get("group") or 0)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def validate(inputs: Plain) -> list[Failure]:
    """What no property by itself can say."""
    failures = [
        *_validate_numbers(inputs),
        *_validate_uploads(inputs),
        *_validate_volumes(inputs),
        *_validate_healthcheck(inputs),
    ]
    for index, item in _known_items(inputs, "command"):
        if item == "":
            failures.append(_failure(f"command[{index}]", "is empty: give a value, or leave it out"))
    if inputs.get("maxRetryCount") and inputs.get("restart") not in ("on-failure", UNKNOWN):
        failures.append(_failure("maxRetryCount", "is only for restart on-failure"))
    if inputs.get("logs") is True and inputs.get("attach") is False:
        failures.append(_failure("logs", "needs attach"))
    if inputs.get("rm") is True and inputs.get("restart") not in ("no", UNKNOWN):
        failures.append(_failure("rm", "and restart exclude each other"))
    if inputs.get("wait") is True and inputs.get("start") is False:
        failures.append(_failure("wait", "needs start"))
    for index, item in _known_items(inputs, "envs"):
        # Without its value, which may be a secret.
        if isinstance(item, str) and ("=" not in item or item.startswith("=")):
            failures.append(_failure(f"envs[{index}]", "must be NAME=VALUE"))
    return failures


def _validate_numbers(inputs: Plain) -> list[Failure]:
    cpus = inputs.get("cpus")
    if not isinstance(cpus, str):
        return []
    try:
        good = 0 < float(cpus) < 1e6
    except ValueError:
        good = False
    return [] if good else [_failure("cpus", f"must be a number of processors above 0 such as 0.5, not {cpus!r}")]


def _validate_uploads(inputs: Plain) -> list[Failure]:
    failures = []
    for index, item in _known_items(inputs, "uploads"):
        path = f"uploads[{index}]"
        if sum(1 for name in ("content", "contentBase64", "source") if item.get(name)) > 1:
            failures.append(_failure(path, "must have one of content, contentBase64 and source"))
        failures += [
            _failure(f"{path}.{name}", "must be a number here: names are the image's own")
            for name in ("owner", "group")
            if item.get(name) is not None and not str(item[name]).isdecimal()
        ]
        permissions = item.get("permissions")
        if isinstance(permissions, str) and not (permissions and set(permissions) <= set("01234567")):
            failures.append(_failure(f"{path}.permissions", "must be an octal mode such as 0600"))
        try:
            base64.b64decode(str(item.get("contentBase64") or ""), validate=True)
        except (binascii.Error, ValueError):
            failures.append(_failure(f"{path}.contentBase64", "is no base64"))
    return failures


def _validate_volumes(inputs: Plain) -> list[Failure]:
    failures = []
    for index, item in _known_items(inputs, "volumes"):
        if bool(item.get("containerPath")) == bool(item.get("fromContainer")):
            failures.append(_failure(f"volumes[{index}]", "must have containerPath, or else fromContainer"))
        if item.get("hostPath") and item.get("volumeName"):
            failures.append(_failure(f"volumes[{index}]", "must have hostPath, or else volumeName"))
    return failures


def _validate_healthcheck(inputs: Plain) -> list[Failure]:
    given = inputs.get("healthcheck")
    if not isinstance(given, dict):
        return []
    return [
        _failure(f"healthcheck.{name}", f"must be a time such as 30s or 1m30s, not {given[name]!r}")
        for name in _DURATIONS
        if isinstance(given.get(name), str) and nanoseconds(given[name]) is None
    ]


def _known_items(inputs: Plain, name: str) -> list[tuple[int, Any]]:
    items = inputs.get(name)
    return (
        [(index, each) for index, each in enumerate(items) if not has_unknown(each)] if isinstance(items, list) else []
    )


def _failure(path: str, what: str) -> Failure:
    return Failure(property=path, reason=f"property {path!r} {what}")


def _healthcheck(given: Plain) -> dict[str, Any]:
    body: dict[str, Any] = {
        "Interval": nanoseconds(str(given.get("interval") or "")),
        "Timeout": nanoseconds(str(given.get("timeout") or "")),
        "StartPeriod": nanoseconds(str(given.get("startPeriod") or "")),
        "Retries": given.get("retries") or 0,
    }
    # Without a test of its own, that of the image is run at these times.
    return body | ({"Test": given["tests"]} if given.get("tests") else {})


def _port_bindings(inputs: Plain) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for item in inputs.get("ports") or []:
        external = item.get("external")
        binding = {"HostIp": str(item.get("ip") or ""), "HostPort": str(external) if external else ""}
        bindings.setdefault(f"{item['internal']}/{item.get('protocol') or 'tcp'}", []).append(binding)
    return bindings


def _volumes(inputs: Plain) -> tuple[dict[str, Any], list[str], list[str]]:
    """(volumes of its own without a name, named and bound ones, containers whose volumes it shares)."""
    own: dict[str, Any] = {}
    binds: list[str] = []
    shared: list[str] = []
    for item in inputs.get("volumes") or []:
        source = item.get("volumeName") or item.get("hostPath")
        if item.get("fromContainer"):
            shared.append(f"{item['fromContainer']}:ro" if item.get("readOnly") else str(item["fromContainer"]))
        elif source:
            mode = ",".join(filter(None, ("ro" if item.get("readOnly") else "rw", item.get("selinuxRelabel"))))
            binds.append(f"{source}:{item['containerPath']}:{mode}")
        else:
            own[str(item["containerPath"])] = {}
    return own, binds, shared


def _mount(item: Plain) -> dict[str, Any]:
    body: dict[str, Any] = {
        "Type": item["type"],
        "Target": item["target"],
        "Source": item.get("source") or "",
        "ReadOnly": bool(item.get("readOnly")),
    }
    bind, volume, tmpfs = (item.get(f"{kind}Options") for kind in ("bind", "volume", "tmpfs"))
    if item["type"] == "bind" and bind:
        body["BindOptions"] = {"Propagation": bind.get("propagation") or ""}
    if item["type"] == "volume" and volume:
        body["VolumeOptions"] = {
            "NoCopy": bool(volume.get("noCopy")),
            "Labels": {each["label"]: each["value"] for each in volume.get("labels") or []},
        }
        if volume.get("driverName") or volume.get("driverOptions"):
            body["VolumeOptions"]["DriverConfig"] = {
                "Name": volume.get("driverName") or "",
                "Options": volume.get("driverOptions") or {},
            }
    if item["type"] == "tmpfs" and tmpfs:
        body["TmpfsOptions"] = {"SizeBytes": tmpfs.get("sizeBytes") or 0, "Mode": tmpfs.get("mode") or 0}
    return body


def _device(item: Plain) -> dict[str, str]:
    return {
        "PathOnHost": str(item["hostPath"]),
        "PathInContainer": str(item.get("containerPath") or item["hostPath"]),
        "CgroupPermissions": str(item.get("permissions") or "rwm"),
    }
