"""A worker's account on a real API server: its rights, as the installation gives them, and its token."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client, dynamic

from stacks.installation import rights
from stacks.installation.names import SERVICE, WORKER, Document
from stacks.installation.pods import service_account
from stacks.installation.settings import Platform


@contextmanager
def rights_on(objects: dynamic.DynamicClient, platform: Platform) -> Iterator[None]:
    """The accounts with their rights, put onto the cluster as the installation does."""
    made: list[tuple[Any, Document]] = []
    try:
        for document in (service_account(platform, SERVICE, "service"), *rights.documents(platform)):
            kind = objects.resources.get(api_version=document["apiVersion"], kind=document["kind"])
            kind.create(body=document, namespace=document["metadata"].get("namespace"))
            made.append((kind, document))
        yield
    finally:
        for kind, document in reversed(made):
            kind.delete(name=document["metadata"]["name"], namespace=document["metadata"].get("namespace"))


def token_of(api: client.ApiClient, namespace: str) -> str:
    """A token such as its pod gets."""
    spec = client.V1TokenRequestSpec(audiences=None, expiration_seconds=3600)
    request = client.AuthenticationV1TokenRequest(spec=spec)
    answer = client.CoreV1Api(api).create_namespaced_service_account_token(WORKER, namespace, request)
    return str(answer.status.token)


def kubeconfig_of(api: client.ApiClient, namespace: str, path: Path) -> Path:
    """A kubeconfig with its token."""
    cluster = {"server": api.configuration.host, "certificate-authority": api.configuration.ssl_ca_cert}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "worker",
        "clusters": [{"name": "here", "cluster": cluster}],
        "users": [{"name": "worker", "user": {"token": token_of(api, namespace)}}],
        "contexts": [{"name": "worker", "context": {"cluster": "here", "user": "worker"}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))
    return path


@contextmanager
def as_worker(api: client.ApiClient, namespace: str) -> Iterator[dynamic.DynamicClient]:
    """The cluster, as it is to that account."""
    own = client.Configuration()
    own.host, own.ssl_ca_cert = api.configuration.host, api.configuration.ssl_ca_cert
    own.api_key = {"authorization": f"Bearer {token_of(api, namespace)}"}
    with client.ApiClient(own) as made:
        yield dynamic.DynamicClient(made)
