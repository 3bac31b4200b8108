"""What the engine keeps of a Secret that another client has made. No server is needed."""

import json

from providers.kubernetes.objects import shown
from providers.kubernetes.tokens import Type
from providers.plugin.wire import Bag

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def test_what_kubectl_wrote_beside_a_secret_is_not_kept() -> None:
    """It holds the contents, in a place that nobody takes for secret."""
    data = {"password": "aHVudGVyMjI="}
    annotations = {_LAST_APPLIED: json.dumps({"kind": "Secret", "data": data}), "team": "a"}
    live = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "annotations": annotations}, "data": data}
    kept = shown(live, inputs=Bag(values={}), type_=Type(api_version="v1", kind="Secret"), manager="m")
    assert kept.values["metadata"]["annotations"] == {"team": "a"}
    assert "data" in kept.secret
