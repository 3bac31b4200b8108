"""A generated password: made once, kept in the state as a secret, the same at every update.

Decides length and alphabet. It never stores the password anywhere but in the state.
"""

from __future__ import annotations

import secrets
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider

from providers.props import diff_of, required

BYTES = 24
"""24 random bytes are 32 URL-safe characters, 192 bits."""


class PasswordProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, ("owner",))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=("owner",), owned=())

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["owner"]), {"owner": props["owner"], "value": secrets.token_urlsafe(BYTES)})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_, {"owner": props["owner"], "value": props["value"]})


class Password(Resource, module="tenantry", name="Password"):
    """`value` is the password, a secret. `owner` says whose it is; another owner gets another password."""

    value: pulumi.Output[str]

    def __init__(self, name: str, *, owner: str, opts: pulumi.ResourceOptions | None = None) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["value"])
        super().__init__(
            PasswordProvider(), name, {"owner": owner, "value": None}, pulumi.ResourceOptions.merge(opts, secret)
        )
