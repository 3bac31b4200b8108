"""An Odoo database's external API, JSON-RPC, from a region's name: methods of its models, and what may be sent again.

Decides how a call is put and how an answer is read. A call that makes something is never sent again here: whoever
creates looks first (see `lifecycle`). It never keeps the key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from providers.backends import odoo_of, secret
from providers.errors import ProviderError
from providers.http import Api, correlation_headers
from providers.metering import meter_of
from providers.moved import check_kept
from providers.odoo.errors import PASSING, DeniedError, OdooError, error_of, exception_of, parsed, refusal

if TYPE_CHECKING:
    import httpx

CALL_SECONDS = 20.0
LONG_SECONDS = 50.0
"""For a chart of accounts, whose module Odoo may have to install first: under a step's limit of 60 s."""
LONGEST_WAIT = 30.0
"""Seconds: what a proxy whose rate limit is reached may ask for."""
Term = tuple[str, str, Any]
Domain = Sequence[Term | str]
Row = dict[str, Any]
_uids: dict[tuple[str, str, str], int] = {}
"""Who we are on each server: asked once a process."""
_versions: dict[str, tuple[int, str]] = {}
"""What each server is: asked once a process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Odoo:
    """One database as one user. `variable` is that of the key, for errors."""

    api: Api
    database: str
    user: str
    key: str = field(repr=False)
    variable: str

    @property
    def server(self) -> str:
        """Its address, which a state keeps of each record."""
        return f"{self.api.base_url}, database {self.database}"

    @property
    def requests(self) -> int:
        """How many this run has sent it."""
        return self.api.meter.sent if self.api.meter is not None else 0

    def version(self, *, what: str, fresh: bool = False) -> tuple[int, str]:
        """Its major version, and how it calls it, such as (18, `18.0`). Needs no login."""
        if fresh or self.server not in _versions:
            _versions[self.server] = self._version(what)
        return _versions[self.server]

    def _version(self, what: str) -> tuple[int, str]:
        found = self._asked("common", "version", [], what=what, request="common.version")
        info = found.get("server_version_info") if isinstance(found, dict) else None
        # Of an Odoo Online it is such as `saas~18`.
        number = re.search(r"[0-9]+", str(info[0])) if isinstance(info, list) and info else None
        if number is None:
            raise self._stranger(what)
        return int(number.group()), str(found.get("server_serie") or found.get("server_version") or number.group())

    def uid(self, *, what: str, fresh: bool = False) -> int:
        """Who we are there. Raises DeniedError."""
        known = (self.server, self.user, hashlib.sha256(self.key.encode()).hexdigest())
        if fresh or known not in _uids:
            given = [self.database, self.user, self.key, {}]
            found = self._asked("common", "authenticate", given, what=what, request="common.authenticate")
            if not isinstance(found, int) or isinstance(found, bool):
                raise self._denied(what)
            _uids[known] = found
        return _uids[known]

    def search(
        self,
        model: str,
        domain: Domain,
        fields: Sequence[str],
        *,
        what: str,
        company: int | None = None,
        limit: int = 0,
    ) -> list[Row]:
        """The records that fit, archived ones too, oldest first."""
        asked: dict[str, Any] = {"fields": list(fields), "order": "id"}
        if limit:
            asked["limit"] = limit
        rows = self.call(
            model, "search_read", _listed(domain), what=what, company=company, again=True, archived=True, **asked
        )
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._stranger(what)
        return rows

    def count(self, model: str, domain: Domain, *, what: str, company: int | None = None) -> int:
        found = self.call(model, "search_count", _listed(domain), what=what, company=company, again=True)
        if not isinstance(found, int):
            raise self._stranger(what)
        return found

    def write(
        self, model: str, ids: Sequence[int], values: Mapping[str, Any], *, what: str, company: int | None
    ) -> None:
        """Sets fields: again is the same as once."""
        self.call(model, "write", list(ids), dict(values), what=what, company=company, again=True)

    def unlink(self, model: str, ids: Sequence[int], *, what: str, company: int | None) -> None:
        """Deletes records. Raises GoneError where one is not there."""
        self.call(model, "unlink", list(ids), what=what, company=company)

    def call(
        self,
        model: str,
        method: str,
        *args: Any,
        what: str,
        company: int | None = None,
        seconds: float | None = None,
        again: bool = False,
        archived: bool = False,
        **kwargs: Any,
    ) -> Any:
        """What a method answers; None where it answers nothing. `company` is the only one that it sees and works for.

        `again` says that a call whose answer is lost may be sent a second time.
        """
        context: dict[str, Any] = {"lang": "en_US"}
        if company is not None:
            context["allowed_company_ids"] = [company]
        if archived:
            context["active_test"] = False
        given = [
            self.database,
            self.uid(what=what),
            self.key,
            model,
            method,
            list(args),
            {**kwargs, "context": context},
        ]
        return self._asked(
            "object", "execute_kw", given, what=what, request=f"{model}.{method}", seconds=seconds, again=again
        )

    def check_kept(self, was: str | None, *, what: str, there: Callable[[], bool]) -> None:
        """Raises ConfigurationError where a record is in the region's database of before."""
        check_kept(was, self.server, what=what, key="odoo.url and odoo.database", there=there)

    def _asked(
        self,
        service: str,
        method: str,
        args: list[Any],
        *,
        what: str,
        request: str,
        seconds: float | None = None,
        again: bool | None = None,
    ) -> Any:
        api = self.api if seconds is None else dataclasses.replace(self.api, seconds=seconds)
        body = {
            "jsonrpc": "2.0",
            "method": "call",
            "id": 1,
            "params": {"service": service, "method": method, "args": args},
        }
        answer = api.call(
            "POST",
            "/jsonrpc",
            what=what,
            expect=range(100, 600),
            repeatable=service == "common" if again is None else again,
            json=body,
        )
        told = parsed(answer.text)
        if not answer.is_success or "error" in told:
            raise self._refused(answer, what, request)
        if "jsonrpc" not in told:
            raise self._stranger(what)
        # What a method answers that has nothing to say, is left out.
        return told.get("result")

    def _refused(self, answer: httpx.Response, what: str, request: str) -> OdooError:
        return refusal(
            what,
            name=self.api.name,
            request=request,
            status=answer.status_code,
            text=answer.text,
            variable=self.variable,
            secrets=self.api.secrets,
        )

    def _denied(self, what: str) -> DeniedError:
        return DeniedError(
            f"{what}: {self.api.name} does not accept the login {self.user!r} for the database {self.database!r}. "
            f"Put a valid API key of that user in {self.variable}.",
            status=200,
            name="odoo.exceptions.AccessDenied",
        )

    def _stranger(self, what: str) -> ProviderError:
        return ProviderError(f"{what}: {self.api.name} does not answer as Odoo does. Is that an Odoo server?")


def odoo_at(region: str) -> Odoo:
    """The database of a region. Raises ConfigurationError."""
    backend = odoo_of(region)
    key = secret(backend.key_from)
    url = backend.url.rstrip("/")
    name = f"Odoo at {url}"
    return Odoo(
        api=Api(
            name=name,
            base_url=url,
            headers={"Accept": "application/json", **correlation_headers("X-Correlation-Id", "X-Request-Id")},
            secrets=(key,),
            seconds=CALL_SECONDS,
            verify=backend.ca_file or True,
            passing=_passing,
            longest_wait=LONGEST_WAIT,
            meter=meter_of(f"{name}/{backend.database}", backend.requests_per_run),
        ),
        database=backend.database,
        user=backend.user,
        key=key,
        variable=backend.key_from,
    )


def _listed(domain: Domain) -> list[Any]:
    return [list(term) if isinstance(term, tuple) else term for term in domain]


def _passing(answer: httpx.Response) -> bool | None:
    """Whether a failure passes, and was rolled back; None where only its status says."""
    return True if exception_of(error_of(answer.text)) in PASSING else None
