"""The properties of docker.Container: kinds, defaults, what needs another container. Pure.

They are the stock provider's, with one difference: what the engine can only be told at creation (`healthcheck`, `init`,
`rm`, `tmpfs`) needs another container here, where the stock provider says that it was changed and leaves it as it was.
"""

import re
from fractions import Fraction

from providers.docker.names import NAME, SCHEMA_VERSION
from providers.docker.network import LABELS
from providers.plugin.properties import Kind, Property

_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DEVICES = "limits and requests of devices need the stock plugin"


def nanoseconds(text: str) -> int | None:
    """A duration as Go writes it, such as `1m30s` or `0s`; None for what is none."""
    if text in {"", "0"}:
        return 0
    if _PARTS.sub("", text):
        return None
    return int(sum(Fraction(number) * _UNITS[unit] for number, unit in _PARTS.findall(text)))


def duration(count: int) -> str:
    """Nanoseconds as Go writes them, in the largest unit that has no fraction."""
    if not count:
        return "0s"
    unit = next(each for each in ("h", "m", "s", "ms", "us", "ns") if count % _UNITS[each] == 0)
    return f"{count // _UNITS[unit]}{unit}"


def capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _same_duration(text: str) -> str:
    return str(nanoseconds(text))


def _same_number(text: str) -> str:
    try:
        return str(float(text or 0))
    except ValueError:
        return text


def _given(name: str, kind: Kind = Kind.STRING, **more: object) -> Property:
    """What the engine is told at creation and never again."""
    return Property(name=name, kind=kind, replaces=True, **more)  # type: ignore[arg-type]


_TEXT = Property
_CAPABILITIES = tuple(Property(name=name, kind=Kind.SET, canonical=capability) for name in ("adds", "drops"))
_DEVICE = (
    _TEXT(name="hostPath", required=True),
    _TEXT(name="containerPath", computed=True),
    _TEXT(name="permissions", computed=True),
)
_DURATION = {"default": "0s", "canonical": _same_duration}
_HEALTHCHECK = (
    Property(name="tests", kind=Kind.LIST, computed=True),
    *(Property(name=name, **_DURATION) for name in ("interval", "timeout", "startPeriod")),  # type: ignore[arg-type]
    Property(name="startInterval", refused="engines before version 25 do not know it; use interval and startPeriod"),
    Property(name="retries", kind=Kind.INTEGER, default=0, minimum=0),
)
_HOST = (_TEXT(name="host", required=True), _TEXT(name="ip", required=True))
_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_VOLUME_OPTIONS = (
    _TEXT(name="driverName"),
    Property(name="driverOptions", kind=Kind.MAP),
    Property(name="labels", kind=Kind.OBJECT_SET, fields=LABELS),
    Property(name="noCopy", kind=Kind.BOOL),
    Property(name="subpath", refused="engines before version 26 do not know it"),
)
_MOUNT = (
    _TEXT(name="target", required=True),
    _TEXT(name="type", required=True, choices=("bind", "volume", "tmpfs")),
    _TEXT(name="source"),
    Property(name="readOnly", kind=Kind.BOOL),
    Property(name="bindOptions", kind=Kind.OBJECT, fields=(_TEXT(name="propagation", choices=_PROPAGATIONS),)),
    Property(
        name="tmpfsOptions",
        kind=Kind.OBJECT,
        fields=(Property(name="mode", kind=Kind.INTEGER), Property(name="sizeBytes", kind=Kind.INTEGER)),
    ),
    Property(name="volumeOptions", kind=Kind.OBJECT, fields=_VOLUME_OPTIONS),
)
_NETWORK = (
    _TEXT(name="name", required=True),
    Property(name="aliases", kind=Kind.SET),
    Property(name="driverOpts", kind=Kind.SET),
    Property(name="gwPriority", refused="engines before version 28 do not know it"),
    _TEXT(name="ipv4Address"),
    _TEXT(name="ipv6Address"),
    Property(name="linkLocalIps", kind=Kind.SET),
    Property(name="macAddress", refused="engines before version 25 do not know it for one network"),
)
_PORT = (
    Property(name="internal", kind=Kind.INTEGER, required=True, minimum=1),
    Property(name="external", kind=Kind.INTEGER, computed=True, minimum=0),
    _TEXT(name="ip", default="0.0.0.0"),  # noqa: S104 - the stock provider's default
    _TEXT(name="protocol", default="tcp", choices=("tcp", "udp", "sctp")),
)
_ULIMIT = (
    _TEXT(name="name", required=True),
    Property(name="soft", kind=Kind.INTEGER, required=True),
    Property(name="hard", kind=Kind.INTEGER, required=True),
)
_UPLOAD = (
    _TEXT(name="file", required=True),
    _TEXT(name="content"),
    _TEXT(name="contentBase64"),
    Property(name="executable", kind=Kind.BOOL, default=False),
    _TEXT(name="group"),
    _TEXT(name="owner"),
    _TEXT(name="permissions"),
    _TEXT(name="source"),
    _TEXT(name="sourceHash"),
)
_VOLUME = (
    _TEXT(name="containerPath"),
    _TEXT(name="fromContainer"),
    _TEXT(name="hostPath"),
    Property(name="readOnly", kind=Kind.BOOL),
    _TEXT(name="selinuxRelabel", choices=("z", "Z")),
    _TEXT(name="volumeName"),
)
_NETWORK_DATA = tuple(
    Property(name=name)
    for name in (
        *("gateway", "globalIpv6Address", "globalIpv6PrefixLength", "ipAddress", "ipPrefixLength", "ipv6Gateway"),
        *("macAddress", "networkName"),
    )
)

CHANGEABLE = frozenset(
    {
        *("cpuPeriod", "cpuQuota", "cpuSet", "cpuShares", "cpus", "maxRetryCount", "memory", "memoryReservation"),
        *("memorySwap", "restart"),
    }
)
"""What the engine can change of a container that is there."""

HOW = (
    *("attach", "containerReadRefreshTimeoutMilliseconds", "destroyGraceSeconds", "logs", "mustRun", "removeVolumes"),
    *("start", "wait", "waitTimeout"),
)
"""What is for the provider, and leaves the container as it is."""

SPEC = (
    NAME,
    _given("image", required=True),
    Property(name="attach", kind=Kind.BOOL, default=False),
    _given("capabilities", Kind.OBJECT, fields=_CAPABILITIES),
    _given("cgroupParent"),
    _given("cgroupnsMode", computed=True, choices=("private", "host")),
    _given("command", Kind.LIST, computed=True),
    Property(name="containerReadRefreshTimeoutMilliseconds", kind=Kind.INTEGER, default=15_000, minimum=1),
    Property(name="cpuPeriod", kind=Kind.INTEGER, minimum=0, keeps=True),
    Property(name="cpuQuota", kind=Kind.INTEGER, minimum=0, keeps=True),
    Property(name="cpuSet", keeps=True),
    Property(name="cpuShares", kind=Kind.INTEGER, minimum=0, keeps=True),
    Property(name="cpus", canonical=_same_number, keeps=True),
    Property(name="destroyGraceSeconds", kind=Kind.INTEGER, minimum=0),
    _given("deviceCgroupRules", Kind.SET),
    *(
        Property(name=name, refused=_DEVICES)
        for name in ("deviceReadBps", "deviceReadIops", "deviceRequests", "deviceWriteBps", "deviceWriteIops", "gpus")
    ),
    _given("devices", Kind.OBJECT_SET, fields=_DEVICE),
    _given("dns", Kind.SET),
    _given("dnsOpts", Kind.SET),
    _given("dnsSearches", Kind.SET),
    _given("domainname"),
    _given("entrypoints", Kind.LIST, computed=True),
    _given("envs", Kind.SET, computed=True),
    _given("groupAdds", Kind.SET),
    _given("healthcheck", Kind.OBJECT, computed=True, fields=_HEALTHCHECK),
    _given("hostname", computed=True),
    _given("hosts", Kind.OBJECT_SET, fields=_HOST),
    _given("init", Kind.BOOL, computed=True),
    _given("ipcMode", computed=True),
    _given("labels", Kind.OBJECT_SET, computed=True, fields=LABELS),
    _given("logDriver", computed=True),
    _given("logOpts", Kind.MAP),
    Property(name="logs", kind=Kind.BOOL, default=False),
    Property(name="maxRetryCount", kind=Kind.INTEGER, minimum=0),
    Property(name="memory", kind=Kind.INTEGER, minimum=0, keeps=True),
    Property(name="memoryReservation", kind=Kind.INTEGER, minimum=0, keeps=True),
    Property(name="memorySwap", kind=Kind.INTEGER, minimum=-1, computed=True),
    _given("mounts", Kind.OBJECT_SET, fields=_MOUNT),
    Property(name="mustRun", kind=Kind.BOOL, default=True),
    _given("networkMode", default="bridge", canonical=lambda mode: "bridge" if mode == "default" else mode),
    _given("networksAdvanced", Kind.OBJECT_SET, fields=_NETWORK),
    _given("pidMode"),
    _given("platform", computed=True),
    _given("ports", Kind.OBJECT_SET, fields=_PORT),
    _given("privileged", Kind.BOOL),
    _given("publishAllPorts", Kind.BOOL),
    _given("readOnly", Kind.BOOL, default=False),
    Property(name="removeVolumes", kind=Kind.BOOL, default=True),
    Property(name="restart", default="no", choices=("no", "on-failure", "always", "unless-stopped")),
    _given("rm", Kind.BOOL, default=False),
    _given("runtime", computed=True),
    _given("securityOpts", Kind.SET, computed=True),
    _given("shmSize", Kind.INTEGER, computed=True, minimum=0),
    Property(name="start", kind=Kind.BOOL, default=True),
    _given("stdinOpen", Kind.BOOL, default=False),
    _given("stopSignal", computed=True),
    _given("stopTimeout", Kind.INTEGER, computed=True, minimum=0),
    _given("storageOpts", Kind.MAP),
    _given("sysctls", Kind.MAP),
    _given("tmpfs", Kind.MAP),
    _given("tty", Kind.BOOL, default=False),
    _given("ulimits", Kind.OBJECT_SET, fields=_ULIMIT),
    _given("uploads", Kind.OBJECT_SET, fields=_UPLOAD),
    _given("user", computed=True),
    _given("usernsMode"),
    _given("volumes", Kind.OBJECT_SET, fields=_VOLUME),
    Property(name="wait", kind=Kind.BOOL, default=False),
    Property(name="waitTimeout", kind=Kind.INTEGER, default=60, minimum=1),
    _given("workingDir", computed=True),
    Property(name="bridge", computed=True, output=True),
    # A program may print what it was given in confidence.
    Property(name="containerLogs", computed=True, output=True, secret=True),
    Property(name="exitCode", kind=Kind.INTEGER, computed=True, output=True),
    Property(name="networkDatas", kind=Kind.OBJECTS, computed=True, output=True, fields=_NETWORK_DATA),
    Property(name=SCHEMA_VERSION, output=True),
)
