"""Railway's GraphQL API: one question, one answer, and errors in words. Decides what is gone, and who may not ask.

It never shows the token, nor a variable's value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.backends import RailwayBackend, container_of, secret
from providers.errors import ConfigurationError, ProviderError, RefusedError
from providers.http import Api
from providers.masking import masked

_ANSWERS = (200, 400)
_UNAUTHORIZED = (401, 403)
_SHOWN = 300


class GoneError(ProviderError):
    """There is no such object, or no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Railway:
    """A Railway workspace. `what` names the object in errors; `hidden` are values that never appear in one."""

    api: Api
    workspace: str | None
    what: str
    hidden: Collection[str] = field(default=(), repr=False)

    @classmethod
    def of(cls, region: str, what: str, hidden: Collection[str] = ()) -> Railway:
        """Raises ConfigurationError where the region is not on Railway, or its token is not set."""
        backend = container_of(region)
        if not isinstance(backend, RailwayBackend):
            raise ConfigurationError(
                f"{what}: region {region!r} now runs containers on {backend.platform}. "
                "Give the region back its platform, remove the tenant, then change it."
            )
        token = secret(backend.token_from)
        api = Api(
            name=f"Railway at {backend.url}",
            base_url=backend.url,
            headers={"Authorization": f"Bearer {token}"},
            secrets=(token, *filter(None, hidden)),
        )
        return cls(api=api, workspace=backend.workspace, what=what, hidden=hidden)

    def ask(self, query: str, /, **variables: Any) -> Any:
        """The answer to a question, or to a change that may be made twice: the value of its only field.

        Raises GoneError, ProviderError.
        """
        return self._field(query, variables, repeatable=True)

    def make(self, query: str, /, **variables: Any) -> Any:
        """The answer to a change that makes something: not made again where its answer was lost."""
        return self._field(query, variables, repeatable=False)

    def remove(self, query: str, /, **variables: Any) -> None:
        """What is gone already is removed."""
        try:
            self.ask(query, **variables)
        except GoneError:
            return

    def _field(self, query: str, variables: Mapping[str, Any], *, repeatable: bool) -> Any:
        body = {"query": query, "variables": dict(variables)}
        try:
            answer = self.api.call("POST", "", what=self.what, expect=_ANSWERS, repeatable=repeatable, json=body)
        except RefusedError as error:
            if error.status in _UNAUTHORIZED:
                raise self._unauthorized() from None
            raise
        try:
            document = answer.json()
            errors, data = document.get("errors"), document.get("data")
        except (ValueError, AttributeError):
            errors, data = None, None
        if errors:
            raise self._explained(errors)
        if not isinstance(data, Mapping) or len(data) != 1:
            raise ProviderError(
                f"{self.what}: {self.api.name} gave no GraphQL answer ({answer.status_code}). Check container.url."
            )
        return next(iter(data.values()))

    def _explained(self, errors: Any) -> ProviderError:
        try:
            said = "; ".join(str(error["message"]) for error in errors)
        except (TypeError, KeyError):
            said = "an error without words"
        said = " ".join(masked(said, self.api.secrets).split())[:_SHOWN]
        if "not found" in said.lower():
            return GoneError(f"{self.what}: {said}.")
        if "not authorized" in said.lower():
            return self._unauthorized()
        return ProviderError(f"{self.what}: {self.api.name} refused it: {said.rstrip('.')}.")

    def _unauthorized(self) -> ProviderError:
        return ProviderError(
            f"{self.what}: {self.api.name} says: Not Authorized. Correct container.workspace, and the variable that "
            "container.tokenFrom names: it must hold a token of that workspace."
        )


def nodes(connection: Mapping[str, Any]) -> list[Any]:
    """The objects of a connection, as GraphQL's pages have them."""
    return [edge["node"] for edge in connection["edges"]]
