"""Caddy's admin API: the server as it is, with its ETag, and one change of it that is made only if nobody was faster.

Decides what a refusal of Caddy means. It never decides what a route holds, and never changes a configuration without
If-Match: an answer that was lost and a change of somebody else's look the same, and both are looked at again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from providers.backends import GatewayBackend
from providers.caddy.plan import SERVERS, Edit, taken_by
from providers.errors import ConfigurationError, ProviderError, RefusedError
from providers.http import Api

CALL_SECONDS = 10.0
_STALE = 412
_REFUSED = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One server of one Caddy."""

    admin: str
    server: str
    ca_file: str | None = None

    @classmethod
    def of(cls, backend: GatewayBackend) -> Gateway:
        return cls(admin=backend.admin.rstrip("/"), server=backend.server, ca_file=backend.ca_file)

    @property
    def name(self) -> str:
        return f"the gateway at {self.admin}"

    @property
    def api(self) -> Api:
        return Api(name=self.name, base_url=self.admin, seconds=CALL_SECONDS, verify=self.ca_file or True)

    def read(self, what: str) -> tuple[Mapping[str, Any], str] | None:
        """The server and its ETag; None where Caddy has no such server. Raises ProviderError."""
        answer = self.api.call("GET", f"{SERVERS}/{quote(self.server)}", what=what, expect=(200, _REFUSED))
        if answer.status_code == _REFUSED:
            # It says so where there are no servers at all, and where the path is wrong: ours is not.
            return None
        try:
            found = answer.json()
            etag = answer.headers["ETag"]
        except (ValueError, KeyError):
            raise self._stranger(what) from None
        if found is None:
            return None
        if not isinstance(found, Mapping):
            raise self._stranger(what)
        return found, etag

    def write(self, edit: Edit, etag: str, what: str) -> bool:
        """Whether the change was made: false where the server has changed since. Raises ProviderError."""
        body = {} if edit.body is None else {"json": edit.body}
        answer = self.api.call(
            edit.method,
            edit.path,
            what=what,
            expect=(200, _STALE, _REFUSED),
            # What was carried out all the same makes the next try a stale one.
            repeatable=True,
            headers={"If-Match": etag},
            **body,
        )
        if answer.status_code == _REFUSED:
            raise self._refused(answer.text, edit, what) or self.api.refused(answer, what)
        return answer.status_code != _STALE

    def missing(self, what: str) -> ConfigurationError:
        """The error where Caddy has no such server."""
        return ConfigurationError(
            f"{what}: {self.name} has no server {self.server!r}. Add it to Caddy's configuration, with the "
            "address that it listens on and a TLS policy for the tenants' hosts, or correct gateway.server."
        )

    def _refused(self, said: str, edit: Edit, what: str) -> ProviderError | None:
        """Whose the route is whose `@id` is taken: it is in another server of the same Caddy."""
        if "duplicate ID" not in said or not isinstance(edit.body, Mapping):
            return None
        found = self.api.call("GET", f"/id/{quote(str(edit.body.get('@id')))}", what=what, expect=(200, 404))
        if found.status_code != 200 or not edit.body.get("match"):
            return None
        return taken_by(edit.body["match"][0]["host"][0], found.json(), f"{self.name}, in another server")

    def _stranger(self, what: str) -> RefusedError:
        return RefusedError(
            f"{what}: what answers at {self.admin} is no admin API of a Caddy. Correct gateway.admin in "
            "TENANTRY_BACKENDS.",
            status=200,
        )
