"""A workflow of a tenant in n8n: created once, kept as it is defined, published, and known to answer.

Decides whose a workflow is (its note, see `naming`), when it must be written (only when it differs: n8n makes a new
version of each write), and when it is ready: its health webhook says the revision that was wanted.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.errors import NotReadyError, OwnershipError, ProviderError, RefusedError, UnreachableError
from providers.n8n import api
from providers.n8n.api import N8n, n8n_of
from providers.n8n.definition import (
    canonical,
    health_path,
    owned,
    prepared,
    revision_of,
    webhook_paths,
    with_resets,
)
from providers.n8n.naming import is_marked, tag_name, workflow_name
from providers.n8n.removal import remove_workflow
from providers.n8n.tag import find_tag
from providers.props import diff_of, required

IDENTITY = ("region", "tenant_mark", "key")
OWNED = ("name", "definition", "tag", "published")
_LOST = frozenset({500, 502, 504})
"""A gateway's words: the request may have been carried out."""


class N8nWorkflowProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, (*IDENTITY, "name", "definition", "tag"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=OWNED)

    def create(self, props: dict[str, Any]) -> CreateResult:
        n8n, what = n8n_of(props["region"]), _what(props)
        found = _find(n8n, props)
        here = found or _create(n8n, props)
        try:
            outs = _brought_up(n8n, here, props, before={}, what=what)
        except Exception:
            if found is None:
                # A create that fails is in no state: nobody would remove what it has made. What it found stays.
                with contextlib.suppress(ProviderError):
                    remove_workflow(n8n, str(here["id"]), what=what)
            raise
        return CreateResult(str(here["id"]), outs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        n8n, what = _kept(id_, props), _what(props)
        found = n8n.get(f"/workflows/{id_}", what=what)
        return ReadResult(id_, {**_outs(n8n, props), **_seen(found, props)}) if found else ReadResult("", {})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        n8n, what = _kept(_id, {**_olds, **_news}), _what(_news)
        found = n8n.get(f"/workflows/{_id}", what=what)
        if found is None:
            raise ProviderError(f"{what} is gone from n8n. Run refresh, then up, to make it again.")
        before = json.loads(_olds["definition"])["settings"] if _olds.get("definition") else {}
        return UpdateResult(_brought_up(n8n, found, _news, before=before, what=what))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        remove_workflow(_kept(_id, _props), _id, what=_what(_props))


class N8nWorkflow(Resource, module="tenantry", name="N8nWorkflow"):
    """`webhook_urls` are those of the definition's own webhooks; at `health_url` the workflow says what runs."""

    name: pulumi.Output[str]
    webhook_urls: pulumi.Output[list[str]]
    health_url: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        region: str,
        tenant_mark: str,
        key: str,
        definition: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`definition` is as `providers.n8n.definition.prepared` takes it. Raises ConfigurationError."""
        props = inputs_of(region=region, tenant_mark=tenant_mark, key=key, definition=definition)
        super().__init__(N8nWorkflowProvider(), name, {**props, "webhook_urls": None, "health_url": None}, opts)


def inputs_of(*, region: str, tenant_mark: str, key: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    """What the provider is given for a workflow. Raises ConfigurationError."""
    return {
        "region": region,
        "tenant_mark": tenant_mark,
        "key": key,
        "name": workflow_name(tenant_mark, key),
        "definition": canonical(prepared(definition, mark=tenant_mark, key=key)),
        "tag": tag_name(tenant_mark),
        "published": True,
    }


def _kept(id_: str, props: Mapping[str, Any]) -> N8n:
    """The region's server, which has the workflow. Raises ConfigurationError where that is on another."""
    n8n, mark, key = n8n_of(props["region"]), str(props["tenant_mark"]), str(props["key"])
    n8n.check_kept(props, f"/workflows/{id_}", what=_what(props), ours=lambda found: is_marked(found, mark, key))
    return n8n


def _find(n8n: N8n, props: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tenant's own workflow, wherever a run before has left it. Raises OwnershipError."""
    mark, key, what = str(props["tenant_mark"]), str(props["key"]), _what(props)
    queries = ({"name": str(props["name"])}, {"tags": str(props["tag"])})
    found = [row for query in queries for row in n8n.pages("/workflows", what=what, excludePinnedData="true", **query)]
    ours = [row for row in found if is_marked(row, mark, key)]
    if ours:
        # Somebody may have made a copy, whose name is another, or which is younger.
        return min(ours, key=lambda row: (row["name"] != props["name"], str(row["createdAt"])))
    for row in found:
        if row["name"] == props["name"]:
            raise OwnershipError(
                f"{what}: n8n has a workflow {row['id']} of that name, which does not bear the mark of {mark}. "
                "Rename or delete it in n8n."
            )
    return None


def _create(n8n: N8n, props: Mapping[str, Any]) -> dict[str, Any]:
    wanted = json.loads(props["definition"])
    try:
        made: dict[str, Any] = n8n.call("POST", "/workflows", what=_what(props), json={"name": props["name"], **wanted})
        return made
    except (UnreachableError, RefusedError) as error:
        if isinstance(error, RefusedError) and error.status not in _LOST:
            raise
        # The answer was lost, not necessarily the request: a failed creation is in no state, and would be left behind.
        try:
            found = _find(n8n, props)
        except ProviderError:
            found = None
        if found is None:
            raise
        return found


def _brought_up(
    n8n: N8n, found: Mapping[str, Any], props: Mapping[str, Any], *, before: Mapping[str, Any], what: str
) -> dict[str, Any]:
    """Make the workflow what `props` say, and wait until it answers as that."""
    path, wanted = f"/workflows/{found['id']}", json.loads(props["definition"])
    if found.get("isArchived"):
        found = n8n.call("POST", f"{path}/unarchive", what=what, json={})
    settings = with_resets(wanted["settings"], before)
    reset = any(found["settings"].get(key, value) != value for key, value in settings.items())
    if found["name"] != props["name"] or reset or canonical(owned(found, wanted)) != props["definition"]:
        body = {"name": props["name"], **wanted, "settings": settings}
        # Published below, where a conflict is explained.
        found = _there(n8n.call("PUT", f"{path}?publishIfActive=false", what=what, expect=(200, 404), json=body), what)
    _ensure_tag(n8n, path, str(props["tag"]), what)
    if not found["active"] or found["activeVersionId"] != found["versionId"]:
        _publish(n8n, path, wanted, what)
    _await_answer(n8n, path, props, wanted, what)
    return {**_outs(n8n, props), "server": n8n.server}


def _publish(n8n: N8n, path: str, wanted: Mapping[str, Any], what: str) -> None:
    try:
        _there(n8n.call("POST", f"{path}/publish", what=what, expect=(200, 404), json={}, repeatable=True), what)
    except RefusedError as error:
        if error.status != 409:
            raise
        raise OwnershipError(
            f"{what}: another published workflow of n8n answers at one of its webhooks "
            f"({', '.join(webhook_paths(wanted)) or 'its own path'}): {_holder(n8n, path, wanted, what)}. "
            "Unpublish that one, or choose another path."
        ) from None


def _holder(n8n: N8n, path: str, wanted: Mapping[str, Any], what: str) -> str:
    """Who has the path of one of our webhooks."""
    paths = set(webhook_paths(wanted))
    for row in n8n.pages("/workflows", what=what, active="true", excludePinnedData="true"):
        used = {str((node.get("parameters") or {}).get("path", "")).strip("/") for node in row["nodes"]}
        if used & paths and not path.endswith(f"/{row['id']}"):
            return f"{row['name']!r} ({row['id']})"
    return "which one, n8n does not say"


def _ensure_tag(n8n: N8n, path: str, tag: str, what: str) -> None:
    """Our tag is on the workflow; others stay."""
    tags = _there(n8n.get(f"{path}/tags", what=what), what)
    if tag in [each["name"] for each in tags]:
        return
    tag_id = find_tag(n8n, tag)
    if tag_id is None:
        raise ProviderError(f"{what}: its tag {tag!r} is gone from n8n. Run refresh, then up, to make it again.")
    n8n.call("PUT", f"{path}/tags", what=what, json=[*({"id": each["id"]} for each in tags), {"id": tag_id}])


def _await_answer(n8n: N8n, path: str, props: Mapping[str, Any], wanted: Mapping[str, Any], what: str) -> None:
    """Until the health webhook says the wanted revision. Publishing is asynchronous, and may fail without a word."""
    revision, url = revision_of(wanted), f"/webhook/{health_path(props['tenant_mark'], props['key'])}"
    begun, again = time.monotonic(), False
    while True:
        answer = n8n.webhooks.call("GET", url, what=what, expect=range(100, 600), repeatable=False)
        if answer.status_code == 200 and _said(answer.text) == revision:
            return
        passed = time.monotonic() - begun
        if passed >= api.READY_SECONDS:
            last = f"it answered {answer.status_code}" if answer.status_code != 200 else "it still runs what was before"
            raise NotReadyError(
                f"{what} is published, but its webhook {n8n.webhooks.base_url}{url} did not answer as it should within "
                f"{api.READY_SECONDS:g} s: {last}. See n8n's log, and whether its webhooks are at that address."
            )
        if passed >= api.READY_SECONDS / 3 and not again:
            # Of two publications at once, one fails silently; said again, it is refused with a reason.
            again = True
            _publish(n8n, path, wanted, what)
        time.sleep(api.PAUSE_SECONDS)


def _said(text: str) -> str | None:
    try:
        return str(json.loads(text)["revision"])
    except (ValueError, KeyError, TypeError):
        return None


def _seen(found: Mapping[str, Any], props: Mapping[str, Any]) -> dict[str, Any]:
    """What is ours of a workflow, as it is in n8n: where it differs from `props`, it has drifted."""
    wanted = json.loads(props["definition"])
    live = bool(found["active"]) and found["activeVersionId"] == found["versionId"] and not found["isArchived"]
    tagged = props["tag"] in [tag["name"] for tag in found.get("tags") or ()]
    return {
        "name": found["name"],
        "definition": canonical(owned(found, wanted)),
        "tag": props["tag"] if tagged else "",
        "published": live,
    }


def _outs(n8n: N8n, props: Mapping[str, Any]) -> dict[str, Any]:
    urls = [n8n.webhook_url(path) for path in webhook_paths(json.loads(props["definition"]))]
    health = n8n.webhook_url(health_path(str(props["tenant_mark"]), str(props["key"])))
    return {**props, "webhook_urls": urls, "health_url": health}


def _there(answer: Any, what: str) -> Any:
    if answer is None:
        raise ProviderError(f"{what} went from n8n while it was changed. Run refresh, then up, to make it again.")
    return answer


def _what(props: Mapping[str, Any]) -> str:
    return f"n8n workflow {props['name']!r}"
