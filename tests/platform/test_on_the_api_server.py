"""The rendered objects against a real kube-apiserver: it takes every one as it is, with nothing unknown in it."""

from typing import Any

import pytest
import yaml
from kubernetes import dynamic

from stacks.installation.objects import documents
from stacks.installation.rendering import rendered
from tests.platform.conftest import settings

_INGRESS = {
    "host": "tenantry.example.com",
    "class": "nginx",
    "tls": {"issuer": "letsencrypt"},
    "annotations": {"a": "b"},
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"ingress": _INGRESS, "reach": {"ingressFrom": ["ingress-nginx"], "metricsFrom": ["monitoring"]}},
        {"workers": {"autoscaling": "none", "min": 3}, "tenants": {"onThisCluster": False}},
        {
            "database": {"host": "db", "sslmode": "require"},
            "secrets": {"rabbitmq": "queue", "image": "pull", "regions": "r"},
        },
    ],
)
def test_the_server_takes_every_object_as_it_is(
    objects: dynamic.DynamicClient, namespace: str, more: dict[str, Any]
) -> None:
    found = list(yaml.safe_load_all(rendered(documents(settings(namespace=namespace, **more)))))
    for document in found:
        taken = _dry_run(objects, document)
        assert _without(document, taken) == [], document["kind"]


def _dry_run(objects: dynamic.DynamicClient, document: dict[str, Any]) -> dict[str, Any]:
    kind = objects.resources.get(api_version=document["apiVersion"], kind=document["kind"])
    answer = kind.server_side_apply(
        body=document,
        name=document["metadata"]["name"],
        namespace=document["metadata"].get("namespace"),
        field_manager="test",
        dry_run="All",
    )
    return dict(answer.to_dict())


def _without(wanted: Any, taken: Any, path: str = "") -> list[str]:
    """Where what was taken is not what was wanted; more than was wanted is the server's defaults."""
    if isinstance(wanted, dict):
        if not isinstance(taken, dict):
            return [path]
        return [each for key, value in wanted.items() for each in _without(value, taken.get(key), f"{path}.{key}")]
    if isinstance(wanted, list):
        if not isinstance(taken, list) or len(taken) != len(wanted):
            return [path]
        pairs = zip(wanted, taken, strict=True)
        return [each for index, (left, right) in enumerate(pairs) for each in _without(left, right, f"{path}[{index}]")]
    return [] if wanted == taken else [f"{path}: {wanted!r} became {taken!r}"]
