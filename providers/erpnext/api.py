"""An ERPNext site's HTTP API, from a region's name: documents by doctype and name, lists by filter, and methods.

Decides how a request is put and how an answer is read. A lost answer to a POST is never sent again here: whoever
creates looks first (see `lifecycle`). It never keeps the key.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from providers.backends import erpnext_of, secret
from providers.erpnext.errors import PASSING, exc_type_of, parsed, refusal
from providers.errors import ProviderError
from providers.http import Api, correlation_headers
from providers.metering import meter_of
from providers.moved import check_kept

if TYPE_CHECKING:
    import httpx

CALL_SECONDS = 20.0
LONG_SECONDS = 50.0
"""For a company, which ERPNext makes with all its accounts in one request: under a step's limit of 60 s."""
LONGEST_WAIT = 30.0
"""Seconds: what a site whose rate limit is reached may ask for."""
_MOST_ROWS = 1_000
Filter = tuple[str, str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One site. `variables` are those of its key and secret, for errors."""

    api: Api
    variables: tuple[str, str]

    @property
    def server(self) -> str:
        """Its address, which a state keeps of each document."""
        return self.api.base_url

    @property
    def requests(self) -> int:
        """How many this run has sent it."""
        return self.api.meter.sent if self.api.meter is not None else 0

    def get(self, doctype: str, name: str, *, what: str) -> dict[str, Any] | None:
        """A document with its child tables; None where it is not there."""
        answer = self._answer("GET", _path(doctype, name), what=what)
        # A doctype that is not there is no document that is not there: it has another exc_type.
        if answer.status_code == 404 and exc_type_of(parsed(answer.text)) == "DoesNotExistError":
            return None
        return self._mapping(self._data(answer, what), what)

    def find(
        self, doctype: str, filters: Sequence[Filter], *, what: str, fields: Sequence[str] = ("*",)
    ) -> list[dict[str, Any]]:
        """The documents that fit, oldest first, without child tables."""
        asked = {
            "filters": json.dumps([list(each) for each in filters]),
            "fields": json.dumps(list(fields)),
            "order_by": "creation asc, name asc",
            "limit_page_length": str(_MOST_ROWS),
        }
        rows = self._data(self._answer("GET", f"{_path(doctype)}?{urlencode(asked)}", what=what), what)
        if not isinstance(rows, list):
            raise self._stranger(what)
        return [self._mapping(row, what) for row in rows]

    def insert(
        self, doctype: str, body: Mapping[str, Any], *, what: str, seconds: float | None = None
    ) -> dict[str, Any]:
        """The document as it was made. Raises UnreachableError, or an error that is `lost`, where that is not known."""
        answer = self._answer("POST", _path(doctype), what=what, seconds=seconds, json=dict(body))
        return self._mapping(self._data(answer, what), what)

    def change(self, doctype: str, name: str, body: Mapping[str, Any], *, what: str) -> dict[str, Any]:
        """The document as it is now: the fields in `body` are set, others stay; a child table is set as a whole."""
        answer = self._answer("PUT", _path(doctype, name), what=what, json=dict(body))
        return self._mapping(self._data(answer, what), what)

    def remove(self, doctype: str, name: str, *, what: str) -> None:
        """The document is gone afterwards, and may have been before. Raises LinkedError."""
        answer = self._answer("DELETE", _path(doctype, name), what=what)
        gone = answer.status_code == 404 and exc_type_of(parsed(answer.text)) == "DoesNotExistError"
        if not gone and not answer.is_success:
            raise self._refused(answer, what)

    def method(self, name: str, *, what: str, **query: str) -> Any:
        """What a method that changes nothing answers."""
        answer = self._answer("GET", f"/api/method/{name}{f'?{urlencode(query)}' if query else ''}", what=what)
        return self._data(answer, what, key="message")

    def check_kept(self, was: str | None, *, what: str, there: Callable[[], bool]) -> None:
        """Raises ConfigurationError where a document is on the region's site of before."""
        check_kept(was, self.server, what=what, key="erpnext.url", there=there)

    def _answer(self, verb: str, path: str, *, what: str, seconds: float | None = None, **sent: Any) -> httpx.Response:
        api = self.api if seconds is None else dataclasses.replace(self.api, seconds=seconds)
        return api.call(verb, path, what=what, expect=range(100, 600), **sent)

    def _data(self, answer: httpx.Response, what: str, *, key: str = "data") -> Any:
        if not answer.is_success:
            raise self._refused(answer, what)
        body = parsed(answer.text)
        if key not in body:
            raise self._stranger(what)
        return body[key]

    def _mapping(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._stranger(what)
        return value

    def _refused(self, answer: httpx.Response, what: str) -> Exception:
        return refusal(
            what,
            name=self.api.name,
            request=f"{answer.request.method} {answer.request.url.path}",
            status=answer.status_code,
            text=answer.text,
            variables=self.variables,
            secrets=self.api.secrets,
        )

    def _stranger(self, what: str) -> ProviderError:
        return ProviderError(f"{what}: {self.api.name} does not answer as ERPNext does. Is that an ERPNext site?")


def site_of(region: str) -> Site:
    """The site of a region. Raises ConfigurationError."""
    backend = erpnext_of(region)
    key, its_secret = secret(backend.key_from), secret(backend.secret_from)
    url = backend.url.rstrip("/")
    name = f"ERPNext at {url}"
    headers = {
        "Authorization": f"token {key}:{its_secret}",
        "Accept": "application/json",
        # Frappe's monitor keeps an id that it is given under the second name, and makes its own otherwise.
        **correlation_headers("X-Correlation-Id", "X-Frappe-Request-Id"),
    }
    return Site(
        api=Api(
            name=name,
            base_url=url,
            headers=headers,
            secrets=(key, its_secret),
            seconds=CALL_SECONDS,
            verify=backend.ca_file or True,
            passing=_passing,
            longest_wait=LONGEST_WAIT,
            meter=meter_of(name, backend.requests_per_run),
        ),
        variables=(backend.key_from, backend.secret_from),
    )


def _passing(answer: httpx.Response) -> bool | None:
    """Whether a failure passes, and was rolled back; None where only its status says."""
    if answer.status_code < 400:
        return None
    return True if exc_type_of(parsed(answer.text)) in PASSING else None


def _path(doctype: str, name: str | None = None) -> str:
    end = "" if name is None else f"/{quote(name, safe='')}"
    return f"/api/resource/{quote(doctype, safe='')}{end}"
