"""The tag of a tenant in n8n. It is made before all else of the tenant there, and goes last.

Decides that what bears the tenant's mark when the tag goes, goes too: a workflow whose creation was cut off is in no
state, so nothing else would delete it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider

from providers.errors import RefusedError
from providers.n8n.api import N8n, n8n_of
from providers.n8n.naming import credential_id, credential_name, is_of_tenant, tag_name
from providers.n8n.removal import remove_workflow
from providers.props import diff_of, required

IDENTITY = ("region", "tenant_mark")


class N8nTagProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, IDENTITY)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=())

    def create(self, props: dict[str, Any]) -> CreateResult:
        name, n8n = tag_name(props["tenant_mark"]), n8n_of(props["region"])
        tag_id = find_tag(n8n, name) or _create(n8n, name)
        return CreateResult(tag_id, {**props, "name": name, "server": n8n.server})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        name = tag_name(props["tenant_mark"])
        found = _kept(id_, props).get(f"/tags/{id_}", what=f"tag {name!r}")
        # Under another name it marks nothing of ours any more.
        return ReadResult(id_, {**props, "name": name}) if found and found["name"] == name else ReadResult("", {})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        mark, n8n = str(_props["tenant_mark"]), _kept(_id, _props)
        _sweep(n8n, mark)
        n8n.call("DELETE", f"/tags/{_id}", what=f"tag {tag_name(mark)!r}", expect=(200, 404))


class N8nTag(Resource, module="tenantry", name="N8nTag"):
    """`name` is the tag's."""

    name: pulumi.Output[str]

    def __init__(self, name: str, *, region: str, tenant_mark: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(N8nTagProvider(), name, {"region": region, "tenant_mark": tenant_mark, "name": None}, opts)


def _kept(id_: str, props: Mapping[str, Any]) -> N8n:
    """The region's server, which has the tag. Raises ConfigurationError where that is on another."""
    n8n, name = n8n_of(props["region"]), tag_name(props["tenant_mark"])
    n8n.check_kept(props, f"/tags/{id_}", what=f"tag {name!r}", ours=lambda found: bool(found["name"] == name))
    return n8n


def find_tag(n8n: N8n, name: str) -> str | None:
    """The id of the tag with this name."""
    tags = n8n.pages("/tags", what=f"tag {name!r}")
    return next((str(tag["id"]) for tag in tags if tag["name"] == name), None)


def _create(n8n: N8n, name: str) -> str:
    what = f"tag {name!r}"
    try:
        made: dict[str, Any] = n8n.call("POST", "/tags", what=what, expect=(201,), json={"name": name}, repeatable=True)
        return str(made["id"])
    except RefusedError as error:
        # Somebody was faster, or the answer to our own request was lost.
        found = find_tag(n8n, name) if error.status == 409 else None
        if found is None:
            raise
        return found


def _sweep(n8n: N8n, mark: str) -> None:
    what = f"what {mark} has left in n8n"
    found = {
        str(workflow["id"]): workflow
        for query in ({"name": mark}, {"tags": tag_name(mark)})
        for workflow in n8n.pages("/workflows", what=what, excludePinnedData="true", **query)
        if is_of_tenant(workflow, mark)
    }
    for workflow_id in found:
        remove_workflow(n8n, workflow_id, what=f"workflow {workflow_id} of {mark}")
    prefix = credential_name(mark, "")
    for credential in list(n8n.pages("/credentials", what=what)):
        key = str(credential["name"]).removeprefix(prefix)
        if credential["id"] == credential_id(mark, key):
            n8n.call("DELETE", f"/credentials/{credential['id']}", what=what, expect=(200, 404))
