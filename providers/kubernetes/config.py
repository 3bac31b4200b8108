"""The provider's own configuration: which properties there are, and what they mean together. Reads the kubeconfig."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers.kubernetes.kubeconfig import Chosen, choose, is_contents
from providers.plugin import settings
from providers.plugin.errors import RefusedError
from providers.plugin.properties import Kind, Property
from providers.plugin.wire import Bag, Plain, has_unknown

_HELM = "Helm is not served here: render the chart and give the result to pulumi_kubernetes.yaml.ConfigFile"
_RENDER = "rendering to files is not served here: `kubectl` or the stock plugin does it"
_CLIENT = (
    Property(name="qps"),
    Property(name="burst", kind=Kind.INTEGER, minimum=1),
    Property(name="timeout", kind=Kind.INTEGER, minimum=1),
)
_FLAGS = {
    "deleteUnreachable": "PULUMI_K8S_DELETE_UNREACHABLE",
    "enableConfigMapMutable": "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE",
    "enablePatchForce": "PULUMI_K8S_ENABLE_PATCH_FORCE",
    "enableSecretMutable": "PULUMI_K8S_ENABLE_SECRET_MUTABLE",
    "enableServerSideApply": "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY",
    "skipUpdateUnreachable": "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE",
    "suppressDeprecationWarnings": "PULUMI_K8S_SUPPRESS_DEPRECATION_WARNINGS",
    "suppressHelmHookWarnings": "PULUMI_K8S_SUPPRESS_HELM_HOOK_WARNINGS",
    "upsertExistingObjects": "PULUMI_K8S_UPSERT_EXISTING_OBJECTS",
}
_CLIENT_ENV = {
    "qps": "PULUMI_K8S_CLIENT_QPS",
    "burst": "PULUMI_K8S_CLIENT_BURST",
    "timeout": "PULUMI_K8S_CLIENT_TIMEOUT",
}
SPEC: tuple[Property, ...] = (
    *(Property(name=name) for name in ("cluster", "clusterIdentifier", "context", "kubeconfig", "namespace")),
    *(Property(name=name, kind=Kind.BOOL) for name in _FLAGS),
    Property(name="kubeClientSettings", kind=Kind.OBJECT, fields=_CLIENT),
    Property(name="alwaysRender", kind=Kind.BOOL, refused=_RENDER),
    Property(name="renderYamlToDirectory", refused=_RENDER),
    Property(name="helmReleaseSettings", kind=Kind.OBJECT, refused=_HELM),
)
_PATIENCE = "TENANTRY_KUBERNETES_PATIENCE"
_TRUE = frozenset({"1", "t", "true"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What to connect with. `qps` requests a second, `burst` at once, `timeout` seconds for each."""

    chosen: Chosen
    namespace: str = "default"
    qps: float = 50.0
    burst: int = 100
    timeout: float = 32.0
    patience: float = 60.0
    """Seconds for which what may pass by itself is tried again."""
    force: bool = False
    upsert: bool = False
    mutable: frozenset[str] = frozenset()
    """Kinds whose data are changed in place."""
    delete_unreachable: bool = False
    skip_update_unreachable: bool = False
    quiet_deprecations: bool = False


def check(news: Bag) -> tuple[Bag, list[tuple[str, str]]]:
    """The configuration as given, and what is wrong with it: (property, reason) each."""
    given = dict(news.values)
    if isinstance(given.get("kubeconfig"), dict):
        given["kubeconfig"] = json.dumps(given["kubeconfig"])
    values, failures = settings.check("kubernetes", SPEC, given)
    if _flag(values.get("enableServerSideApply")) is False:
        reason = "property 'enableServerSideApply' is false: only server-side apply is served here. Leave it out"
        failures.append(("enableServerSideApply", reason))
    kubeconfig = values.get("kubeconfig")
    # It may hold a token or a key.
    hidden = {"kubeconfig"} if isinstance(kubeconfig, str) and is_contents(kubeconfig) else set()
    return Bag(values=values, secret=(news.secret | hidden) & values.keys()), failures


def resolve(args: Plain, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration to connect with. Raises RefusedError naming the property or variable."""
    env = os.environ if environ is None else environ
    unknown = sorted(name for name, value in args.items() if has_unknown(value))
    if unknown:
        raise RefusedError(f"the kubernetes provider cannot connect yet: its {', '.join(unknown)} is not known")
    bag, failures = check(Bag(values={key: value for key, value in args.items() if not key.startswith("__")}))
    if failures:
        raise RefusedError("; ".join(reason for _, reason in failures))
    values = bag.values
    flags = {name: _flag(values.get(name, env.get(variable))) for name, variable in _FLAGS.items()}
    if flags["enableServerSideApply"] is False:
        raise RefusedError("PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY is false: only server-side apply is served. Unset it")
    chosen = choosing(values, env)
    mutable = {"ConfigMap": flags["enableConfigMapMutable"], "Secret": flags["enableSecretMutable"]}
    return Config(
        patience=_positive(_PATIENCE, env.get(_PATIENCE) or 60.0),
        chosen=chosen,
        namespace=str(values.get("namespace") or chosen.namespace or "default"),
        **_client(values, env),
        force=bool(flags["enablePatchForce"]),
        upsert=bool(flags["upsertExistingObjects"]),
        mutable=frozenset(kind for kind, on in mutable.items() if on),
        delete_unreachable=bool(flags["deleteUnreachable"]),
        skip_update_unreachable=bool(flags["skipUpdateUnreachable"]),
        quiet_deprecations=bool(flags["suppressDeprecationWarnings"]),
    )


def choosing(values: Plain, env: Mapping[str, str]) -> Chosen:
    """The context that a configuration means. Raises RefusedError."""
    return choose(
        str(values.get("kubeconfig") or ""),
        context=str(values.get("context") or ""),
        cluster=str(values.get("cluster") or ""),
        env=env,
    )


def replaces(olds: Plain, news: Plain, environ: Mapping[str, str] | None = None) -> bool:
    """Whether the new configuration means another cluster, as far as can be told."""
    env = os.environ if environ is None else environ
    if olds.get("clusterIdentifier") or news.get("clusterIdentifier"):
        return bool(olds.get("clusterIdentifier") != news.get("clusterIdentifier"))
    try:
        return choosing(olds, env).identity != choosing(news, env).identity
    except RefusedError:
        # A file that is gone says nothing of the cluster.
        return False


def _client(values: Plain, env: Mapping[str, str]) -> dict[str, Any]:
    spec = next(prop for prop in SPEC if prop.name == "kubeClientSettings")
    given = settings.from_text(spec, values.get("kubeClientSettings")) or {}
    found: dict[str, Any] = {}
    for name, variable in _CLIENT_ENV.items():
        value = given.get(name) if given.get(name) is not None else env.get(variable)
        if value is None:
            continue
        number = _positive(f"kubeClientSettings.{name}", value)
        found[name] = max(1, int(number)) if name == "burst" else number
    return found


def _positive(what: str, value: Any) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise RefusedError(f"{what} is {value!r}: give a positive number")
    return number


def _flag(value: object) -> bool | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, bool) else str(value).lower() in _TRUE
