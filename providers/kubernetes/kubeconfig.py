"""Which cluster a kubeconfig means: given as contents or paths, YAML or JSON. Reads files; connects to nothing.

Where none is given: KUBECONFIG, ~/.kube/config, and inside a cluster the service account of the pod. Of several files
the first that says something counts, as with kubectl.
"""

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from providers.plugin.errors import RefusedError

_LISTS = ("clusters", "contexts", "users")
_FILES = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""What a pod has of its service account, if it is given that."""
_ADVICE = "Give the provider a kubeconfig (its contents or its path), or set KUBECONFIG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One context of a kubeconfig. `document` has no other; None stands for the cluster that this process runs in."""

    document: dict[str, Any] | None
    server: str = ""
    authority: str = ""
    namespace: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """As much as can be told of which cluster it is."""
        return self.server, self.authority

    @property
    def has_command(self) -> bool:
        """Whether a command gives the credentials."""
        users = (self.document or {}).get("users") or []
        return any((each.get("user") or {}).keys() & {"exec", "auth-provider"} for each in users)

    @property
    def lacks_token(self) -> bool:
        """Whether this process runs in the cluster, and was given no token of it."""
        return self.document is None and not (_ACCOUNT / "token").is_file()


def choose(given: str, *, context: str, cluster: str, env: Mapping[str, str]) -> Chosen:
    """The context to use. Raises RefusedError, which says nothing of the contents."""
    documents = _documents(given, env)
    if not documents and not given and "KUBERNETES_SERVICE_HOST" in env:
        return Chosen(document=None, server="in-cluster", namespace=_own_namespace())
    if not documents:
        raise RefusedError(f"the kubernetes provider has no kubeconfig: none is given and there is no file. {_ADVICE}")
    merged = _merged(documents)
    name = context or str(merged.get("current-context") or "")
    if not name:
        raise RefusedError("the kubeconfig has no current-context: give the provider's `context`")
    chosen = dict(_named(merged, "contexts", name).get("context") or {})
    chosen["cluster"] = cluster or str(chosen.get("cluster") or "")
    found = _named(merged, "clusters", chosen["cluster"])
    settings = found.get("cluster") or {}
    server = str(settings.get("server") or "")
    if not server:
        raise RefusedError(f"the kubeconfig's cluster {chosen['cluster']!r} has no server: give its address there")
    users = [_named(merged, "users", str(chosen["user"]))] if chosen.get("user") else []
    _refuse_impersonation(users)
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": chosen}],
        "clusters": [found],
        "users": users,
    }
    authority = str(settings.get("certificate-authority-data") or settings.get("certificate-authority") or "")
    return Chosen(document=document, server=server, authority=authority, namespace=str(chosen.get("namespace") or ""))


def _refuse_impersonation(users: list[dict[str, Any]]) -> None:
    """The SDK does not know it: it would act as the user himself, who may do more."""
    for each in users:
        if (each.get("user") or {}).keys() & {"as", "as-uid", "as-groups", "as-user-extra"}:
            raise RefusedError(
                f"the kubeconfig's user {each.get('name')!r} is to act as another (`as`), which is not served: give a "
                f"user that has those rights himself"
            )


def is_contents(given: str) -> bool:
    """Whether it is a kubeconfig itself, and not the path of one."""
    return "\n" in given.strip() or given.lstrip().startswith("{")


def _documents(given: str, env: Mapping[str, str]) -> list[dict[str, Any]]:
    if given and is_contents(given):
        return [_parsed(given, "the provider's kubeconfig", None)]
    paths = [Path(each).expanduser() for each in (given or env.get("KUBECONFIG") or "").split(os.pathsep) if each]
    if not paths:
        home = Path(env.get("HOME") or "~").expanduser() / ".kube" / "config"
        paths = [home] if home.is_file() else []
    missing = [str(path) for path in paths if not path.is_file()]
    if paths and len(missing) == len(paths):
        raise RefusedError(f"there is no kubeconfig at {', '.join(missing)}. {_ADVICE}")
    return [_read(path) for path in paths if path.is_file()]


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise RefusedError(f"the kubeconfig {path} cannot be read: {reason}") from None
    return _parsed(text, f"the kubeconfig {path}", path.resolve().parent)


def _parsed(text: str, what: str, folder: Path | None) -> dict[str, Any]:
    """The document; files that it names are looked for beside it."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise RefusedError(f"{what} is neither YAML nor JSON{where}: correct it") from None
    if not isinstance(document, dict) or not isinstance(document.get("clusters"), list):
        raise RefusedError(f"{what} is no kubeconfig: it has no list `clusters`")
    document = copy.deepcopy(document)
    for key in _LISTS:
        document[key] = [each for each in document.get(key) or [] if isinstance(each, dict)]
    if folder is not None:
        for kind, names in _FILES.items():
            for each in document[f"{kind}s"]:
                settings = each.get(kind) or {}
                settings.update({name: str(folder / settings[name]) for name in names if settings.get(name)})
    return document


def _merged(documents: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {key: [] for key in _LISTS}
    for document in documents:
        merged.setdefault("current-context", document.get("current-context"))
        if not merged["current-context"]:
            merged["current-context"] = document.get("current-context")
        for key in _LISTS:
            known = {each.get("name") for each in merged[key]}
            merged[key] += [each for each in document[key] if each.get("name") not in known]
    return merged


def _named(document: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    found = next((each for each in document[key] if each.get("name") == name), None)
    if found is None:
        there = ", ".join(sorted(str(each.get("name")) for each in document[key])) or "none"
        raise RefusedError(f"the kubeconfig has no {key.removesuffix('s')} {name!r} (there are: {there})")
    return dict(found)


def _own_namespace() -> str:
    path = _ACCOUNT / "namespace"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""
