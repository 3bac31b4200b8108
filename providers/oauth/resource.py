"""A tenant's OAuth client: registered, kept as wanted, its secret exchanged, deleted.

Decides what is identity (region, tenant and name), what is changed in place (scopes), and when there is something to do
besides: a retired client whose time is over, a registration access token that is lost. Its secrets are in the state
alone, encrypted; credentials of ours are never an input.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
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

from providers.oauth.clients import Clients, Held, clients_of
from providers.oauth.registration import Registered, Wanted, full_name
from providers.oauth.rotation import Retired, due, ended, ended_if_possible, rotation_of
from providers.props import diff_of, required

IDENTITY = ("region", "tenant_mark", "client_name")
OWNED = ("scopes", "rotation", "grace_seconds")
SECRETS = ("client_secret", "registration_access_token", "retired")
LONGEST_NAME = 255
LONGEST_GRACE = 30 * 24 * 3600
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,200}")  # RFC 6749, section 3.3
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,150}")


class OAuthClientProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        failures = required(news, IDENTITY).failures or _failures(news)
        return CheckResult(news if failures else {**news, "scopes": sorted(set(news.get("scopes") or ()))}, failures)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        found = diff_of(_olds, _news, identity=IDENTITY, owned=OWNED)
        to_do = (
            not _olds.get("as_registered", True)
            or not _olds.get("registration_access_token", True)
            or due(_retired(_olds), int(time.time()))
        )
        return DiffResult(changes=bool(found.changes or to_do), replaces=found.replaces, delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        clients = clients_of(props["region"], _wanted(props))
        return CreateResult(f"{props['tenant_mark']}/{props['client_name']}", _outs(props, clients, clients.made(), ()))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        clients = clients_of(props["region"], _wanted(props))
        found = clients.seen(_held(props))
        if found is None:
            return ReadResult("", {})
        outs = _outs(props, clients, found, _retired(props))
        return ReadResult(id_, {**outs, "scopes": list(clients.wanted.scoped(found))})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        now = int(time.time())
        clients, held = clients_of(_news["region"], _wanted(_news, _olds)), _held(_olds)
        rotation = None if _olds.get("rotation") == _news.get("rotation") else rotation_of(clients)
        retired = _retired(_olds) if rotation is None else rotation.left(held, _retired(_olds))
        # First what may fail without a loss: after a change, its answer has to reach the state.
        retired = ended(clients, retired, now)
        if rotation is None:
            return UpdateResult(_outs(_news, clients, clients.ensured(held), retired))
        rotated = rotation.rotated(held, retired, int(_news.get("grace_seconds") or 0), now)
        if rotated.retired is not None:
            retired = ended_if_possible(clients, (*retired, rotated.retired), now)
        return UpdateResult(_outs(_news, clients, rotated.current, retired))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        clients = clients_of(_props["region"], _wanted(_props))
        ended(clients, _retired(_props), LAST)
        clients.removed(_held(_props))


class OAuthClient(Resource, module="tenantry", name="OAuthClient"):
    """`client_secret` is a secret from the first byte. `secret_expires_at` is Unix time, 0 for never.

    `retired` is a secret: what a rotation has left to end after its grace. `as_registered` is false where somebody has
    changed the client on the server, or where it did not give the client all that was wanted.
    """

    client_id: pulumi.Output[str]
    client_secret: pulumi.Output[str]
    token_endpoint: pulumi.Output[str]
    issuer: pulumi.Output[str]
    secret_expires_at: pulumi.Output[int]

    def __init__(
        self,
        name: str,
        *,
        client_name: str,
        region: str,
        scopes: Sequence[str],
        tenant_mark: str,
        rotation: int = 0,
        grace_seconds: int = 0,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "client_name": client_name,
            "region": region,
            "scopes": sorted(set(scopes)),
            "tenant_mark": tenant_mark,
            "rotation": rotation,
            "grace_seconds": grace_seconds,
        }
        computed = dict.fromkeys(
            (
                *("client_id", "token_endpoint", "issuer", "registration_client_uri", "secret_expires_at"),
                *("as_registered", *SECRETS),
            )
        )
        secret = pulumi.ResourceOptions(additional_secret_outputs=list(SECRETS))
        super().__init__(
            OAuthClientProvider(), name, {**inputs, **computed}, pulumi.ResourceOptions.merge(opts, secret)
        )


LAST = 2**62
"""After every time of grace."""


def _wanted(props: Mapping[str, Any], olds: Mapping[str, Any] | None = None) -> Wanted:
    scopes, before = (tuple(sorted((each or {}).get("scopes") or ())) for each in (props, olds))
    return Wanted(
        name=str(props["client_name"]), mark=str(props["tenant_mark"]), scopes=scopes, dropped=() if scopes else before
    )


def _held(props: Mapping[str, Any]) -> Held:
    return Held(
        client_id=str(props["client_id"]),
        secret=str(props["client_secret"]),
        uri=str(props["registration_client_uri"]),
        token=str(props["registration_access_token"]),
    )


def _retired(props: Mapping[str, Any]) -> tuple[Retired, ...]:
    return tuple(Retired.of_state(kept) for kept in props.get("retired") or ())


def _outs(props: Mapping[str, Any], clients: Clients, found: Registered, retired: Sequence[Retired]) -> dict[str, Any]:
    missing = clients.wanted.missing(found)
    return {
        **{name: props[name] for name in (*IDENTITY, *OWNED) if name in props},
        **({"scopes": list(clients.wanted.scoped(found))} if missing else {}),
        "client_id": found.client_id,
        "client_secret": found.secret or props.get("client_secret"),
        "registration_client_uri": found.uri,
        "registration_access_token": found.token,
        "token_endpoint": clients.server.token_endpoint,
        "issuer": clients.server.issuer,
        "secret_expires_at": found.expires_at,
        "as_registered": found.name == clients.wanted.full_name and found.as_asked and not missing,
        "retired": [each.as_state() for each in retired],
    }


def _failures(news: Mapping[str, Any]) -> list[CheckFailure]:
    name, mark = str(news["client_name"]), str(news["tenant_mark"])
    failures = []
    if not _NAME.fullmatch(name) or len(full_name(name, mark)) > LONGEST_NAME:
        failures.append(
            CheckFailure(
                "client_name",
                f"client_name is {name[:60]!r}: give up to 150 characters without control characters, and "
                f"at most {LONGEST_NAME} together with the tenant's mark",
            )
        )
    scopes = news.get("scopes") or ()
    failures += [
        CheckFailure(
            "scopes", f"scopes has {str(scope)[:60]!r}: a scope is ASCII without spaces, quotes and backslashes"
        )
        for scope in scopes
        if not isinstance(scope, str) or not _SCOPE.fullmatch(scope)
    ]
    for field, most in (("rotation", 2**31), ("grace_seconds", LONGEST_GRACE)):
        value = news.get(field, 0)
        if not isinstance(value, (int, float)) or value != int(value) or not 0 <= value <= most:
            failures.append(
                CheckFailure(field, f"{field} is {str(value)[:60]!r}: give a whole number from 0 to {most}")
            )
    return failures
