"""Which object a Pulumi type means: `kubernetes:apps/v1:Deployment` with its inputs. Pure; refuses by name.

The inputs' own apiVersion and kind decide where they are given, since `core/v1` of a token is `v1` to the server.
"""

from dataclasses import dataclass

from providers.plugin.errors import RefusedError
from providers.plugin.wire import UNKNOWN, Plain

_PATCH = "Patch"
_HELM = "render the chart (`helm template`) and give the result to pulumi_kubernetes.yaml.ConfigFile"
_KUSTOMIZE = "build it (`kubectl kustomize`) and give the result to pulumi_kubernetes.yaml.ConfigFile"
_YAML = "use ConfigFile or ConfigGroup of pulumi_kubernetes.yaml, which are served"
INSTEAD = {
    "kubernetes:helm.sh/": _HELM,
    "kubernetes:helm:": _HELM,
    "kubernetes:kustomize": _KUSTOMIZE,
    "kubernetes:yaml/v2:": _YAML,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """The kind of object that a resource is, or of which it patches one."""

    api_version: str
    kind: str
    patch: bool = False


def refuse_foreign(token: str, what: str) -> None:
    """Raises RefusedError for what the stock plugin has beside plain objects."""
    advice = next((text for prefix, text in INSTEAD.items() if token.startswith(prefix)), "")
    if advice:
        raise RefusedError(f"{what} {token} is not served here: {advice}")


def type_of(token: str, values: Plain) -> Type:
    """Raises RefusedError for a list, and for what is no object of the server's."""
    refuse_foreign(token, "type")
    package, _, rest = token.partition(":")
    version, _, kind = rest.rpartition(":")
    if package != "kubernetes" or not version or not kind:
        raise RefusedError(f"type {token} is not served here: it names no apiVersion and kind")
    own = values.get("kind")
    if kind.endswith("List") and "items" in values:
        raise RefusedError(f"type {token} is not served here: make a resource of each of its items")
    patch = kind.endswith(_PATCH) and (own is None or own is UNKNOWN or own == kind.removesuffix(_PATCH))
    given = values.get("apiVersion")
    return Type(
        api_version=given if isinstance(given, str) and given else version.removeprefix("core/"),
        kind=own if isinstance(own, str) and own else kind.removesuffix(_PATCH) if patch else kind,
        patch=patch,
    )
