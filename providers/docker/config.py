"""Where the provider connects, from its configuration and the DOCKER_* environment. Decides; never connects.

The properties and defaults are the stock provider's. A value taken from the environment is used, but never written into
the checked configuration, and so never into the state.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from providers.plugin import settings
from providers.plugin.errors import RefusedError
from providers.plugin.properties import Kind, Property
from providers.plugin.wire import Plain, has_unknown

DEFAULT_HOST = "unix:///var/run/docker.sock"
SCHEMES = ("unix://", "tcp://", "http://", "https://", "npipe://")
_SSH = "an engine behind SSH needs the stock plugin; or forward its socket (ssh -L) and give that as host"

_REGISTRY = (
    Property(name="address", required=True),
    Property(name="username"),
    Property(name="password"),
    Property(name="configFile"),
    Property(name="configFileContent"),
    Property(name="authDisabled", kind=Kind.BOOL),
)
SPEC = (
    Property(name="host"),
    Property(name="certPath"),
    Property(name="caMaterial"),
    Property(name="certMaterial"),
    Property(name="keyMaterial", secret=True),
    Property(name="registryAuth", kind=Kind.OBJECTS, secret=True, fields=_REGISTRY),
    Property(name="disableDockerDaemonCheck", kind=Kind.BOOL),
    Property(name="context", refused="contexts of the docker command are not read here: give host and certPath"),
    Property(name="sshOpts", refused=_SSH),
)
_SPEC = {prop.name: prop for prop in SPEC}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAuth:
    """How to sign in to one registry; `address` is its host and port. Without a user, nobody signs in there."""

    address: str
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which engine, and who one is there. `ca`, `cert` and `key` are PEM; empty without TLS."""

    host: str
    ca: str = field(default="", repr=False)
    cert: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    registries: tuple[RegistryAuth, ...] = ()

    @property
    def tls(self) -> bool:
        return bool(self.ca or self.cert or self.key)


def check(news: Plain) -> tuple[Plain, list[tuple[str, str]]]:
    """The configuration as given, and what is wrong with it: (property, reason) each."""
    values, failures = settings.check("docker", SPEC, news)
    host = values.get("host")
    if isinstance(host, str) and host and not host.startswith(SCHEMES):
        reason = _SSH if host.startswith("ssh://") else f"it must begin with one of {', '.join(SCHEMES)}"
        failures.append(("host", f"property 'host' is {host!r}: {reason}"))
    return values, failures


def resolve(args: Plain, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration to connect with. Raises RefusedError naming the property or variable."""
    env = os.environ if environ is None else environ
    unknown = sorted(name for name, value in args.items() if has_unknown(value))
    if unknown:
        raise RefusedError(f"the docker provider cannot connect yet: its {', '.join(unknown)} is not known")
    given = dict(args)
    if not given.get("host"):
        given["host"] = env.get("DOCKER_HOST") or DEFAULT_HOST
    values, failures = check(given)
    if failures:
        raise RefusedError("; ".join(reason for _, reason in failures))
    materials = _materials(values, env)
    if bool(materials["cert"]) != bool(materials["key"]):
        raise RefusedError("the docker provider has a client certificate without its key, or a key without it")
    registries = settings.from_text(_SPEC["registryAuth"], values.get("registryAuth") or [])
    return Config(host=str(values["host"]), registries=tuple(_registry(item, env) for item in registries), **materials)


def _materials(values: Plain, env: Mapping[str, str]) -> dict[str, str]:
    found = {
        name: str(values.get(f"{name}Material") or env.get(f"DOCKER_{name.upper()}_MATERIAL") or "")
        for name in ("ca", "cert", "key")
    }
    folder = str(values.get("certPath") or env.get("DOCKER_CERT_PATH") or "")
    if any(found.values()) or not folder:
        return found
    return {name: _text(os.path.join(folder, f"{name}.pem")) for name in found}  # noqa: PTH118 - given as text


def _registry(item: Plain, env: Mapping[str, str]) -> RegistryAuth:
    address = host_of(str(item.get("address") or ""))
    if item.get("authDisabled"):
        return RegistryAuth(address=address)
    username = str(item.get("username") or env.get("DOCKER_REGISTRY_USER") or "")
    password = str(item.get("password") or env.get("DOCKER_REGISTRY_PASS") or "")
    if username:
        return RegistryAuth(address=address, username=username, password=password)
    content = str(item.get("configFileContent") or "")
    path = str(item.get("configFile") or env.get("DOCKER_CONFIG") or "")
    if not content and path:
        content = _text(os.path.expanduser(path))  # noqa: PTH111 - given as text
    return _from_file(address, content) if content else RegistryAuth(address=address)


def _from_file(address: str, content: str) -> RegistryAuth:
    from providers.docker.sdk import auth

    try:
        known = auth.AuthConfig({"auths": auth.parse_auth(json.loads(content).get("auths") or {})})
        found = known.resolve_authconfig(address) or {}
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise RefusedError(
            f"the configuration file for registry {address} cannot be read ({type(error).__name__})"
        ) from None
    if not found.get("username"):
        raise RefusedError(f"the configuration file for registry {address} has no user for it: sign in there first")
    return RegistryAuth(address=address, username=str(found["username"]), password=str(found.get("password") or ""))


def host_of(address: str) -> str:
    """`https://registry.example/v2` -> `registry.example`; the names of Docker's own registry are one."""
    host = address.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return "docker.io" if host in {"", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"} else host


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - given as text
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise RefusedError(f"the docker provider cannot read {path}: {reason}") from None
