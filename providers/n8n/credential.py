"""A credential of a tenant in n8n, which nodes of its workflows use.

Decides the id, which follows from the tenant mark: so a repeated creation meets itself, and a workflow can name the
credential before it is there. n8n never shows a credential's data again: that they were changed there is not seen, and
only a change here is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from providers.errors import OwnershipError, ProviderError, RefusedError
from providers.n8n.api import N8n, n8n_of
from providers.n8n.naming import credential_id, credential_name
from providers.props import diff_of, required

IDENTITY = ("region", "tenant_mark", "key", "type")
OWNED = ("name", "data")


class N8nCredentialProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        result = required(news, (*IDENTITY, *OWNED))
        # Of a preview, data that hold an Output are unknown as a whole.
        data = news.get("data")
        for name, value in data.items() if isinstance(data, Mapping) else ():
            if isinstance(value, str) and value.startswith("="):
                result.failures.append(CheckFailure("data", f"{name} begins with =, which n8n would run: change it"))
        return result

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=OWNED)

    def create(self, props: dict[str, Any]) -> CreateResult:
        n8n, what, id_ = _server(props), _what(props), credential_id(props["tenant_mark"], props["key"])
        body = {key: props[key] for key in ("name", "type", "data")}
        try:
            # With an id of our choice, a second try meets the first one.
            n8n.call("POST", "/credentials", what=what, json={"id": id_, **body}, repeatable=True)
        except RefusedError as error:
            if error.status != 409:
                raise
            _adopt(n8n, id_, props)
        return CreateResult(id_, {**props, "server": n8n.server})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        found = _kept(id_, props).get(f"/credentials/{id_}", what=_what(props))
        return ReadResult(id_, {**props, "name": found["name"], "type": found["type"]}) if found else ReadResult("", {})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        what, n8n = _what(_news), _kept(_id, _olds, _news)
        body = {key: _news[key] for key in OWNED}
        changed = n8n.call("PATCH", f"/credentials/{_id}", what=what, expect=(200, 404), json=body, repeatable=True)
        if changed is None:
            raise ProviderError(f"{what} is gone from n8n. Run refresh, then up, to make it again.")
        return UpdateResult({**_news, "server": n8n.server})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        _kept(_id, _props).call("DELETE", f"/credentials/{_id}", what=_what(_props), expect=(200, 404))


class N8nCredential(Resource, module="tenantry", name="N8nCredential"):
    """`data` is a secret in the state."""

    name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        region: str,
        tenant_mark: str,
        key: str,
        type_: str,
        data: Mapping[str, pulumi.Input[Any]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "region": region,
            "tenant_mark": tenant_mark,
            "key": key,
            "type": type_,
            "name": credential_name(tenant_mark, key),
            "data": pulumi.Output.secret(dict(data)),
        }
        secret = pulumi.ResourceOptions(additional_secret_outputs=["data"])
        super().__init__(N8nCredentialProvider(), name, props, pulumi.ResourceOptions.merge(opts, secret))


def _adopt(n8n: N8n, id_: str, props: Mapping[str, Any]) -> None:
    what = _what(props)
    found = n8n.get(f"/credentials/{id_}", what=what)
    if found is None:
        raise ProviderError(f"{what}: n8n has it and does not show it. Give its key the rights of the owner.")
    if not str(found["name"]).startswith(credential_name(str(props["tenant_mark"]), "")):
        raise OwnershipError(
            f"{what}: its id {id_} is taken by the credential {found['name']!r}. Delete that one in n8n, or rename it "
            f"to {props['name']!r} to have it adopted."
        )
    body = {key: props[key] for key in ("name", "type", "data")}
    n8n.call("PATCH", f"/credentials/{id_}", what=what, json=body, repeatable=True)


def _kept(id_: str, olds: Mapping[str, Any], *news: Mapping[str, Any]) -> N8n:
    """The region's server, which has the credential. Raises ConfigurationError where that is on another."""
    n8n, prefix = _server(olds, *news), credential_name(str(olds["tenant_mark"]), "")
    path, what = f"/credentials/{id_}", _what(olds)
    n8n.check_kept(olds, path, what=what, ours=lambda found: str(found["name"]).startswith(prefix))
    return n8n


def _server(*props: Mapping[str, Any]) -> N8n:
    return n8n_of(str(props[0]["region"]), hidden=[text for each in props for text in _texts(each.get("data"))])


def _texts(value: Any) -> Iterator[str]:
    """Every text in a credential's data. Short ones are no secrets, and hiding them would hide words."""
    if isinstance(value, Mapping):
        for child in value.values():
            yield from _texts(child)
    elif isinstance(value, str) and len(value) > 3:
        yield value


def _what(props: Mapping[str, Any]) -> str:
    return f"n8n credential {props['name']!r}"
