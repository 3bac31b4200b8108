"""n8n's public API and its webhooks, from a region's name: what each call waits for, and when an object is gone.

Decides that a server which is starting is waited for: it then answers 200 in plain text, and 404 in HTML even for what
exists, so only a 404 in JSON means that something is gone. It never keeps the key.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from providers.backends import n8n_backend_of, secret
from providers.errors import NotReadyError, ProviderError, RefusedError
from providers.http import Api
from providers.moved import check_kept

if TYPE_CHECKING:
    import httpx

READY_SECONDS = 45.0
"""How long a server may start, a webhook may take to answer, and a workflow to be let go."""
PAUSE_SECONDS = 0.1
_WEBHOOK_SECONDS = 10.0
_PAGE, _MOST_PAGES = 100, 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class N8n:
    """One server. `key_name` is the variable that holds the key, for errors."""

    api: Api
    webhooks: Api
    key_name: str

    def call(self, method: str, path: str, *, what: str, expect: Collection[int] = (200,), **sent: Any) -> Any:
        """The answer's JSON; None for a 404 that is expected. Raises ProviderError."""
        answer = self._answered(method, path, what, (*expect, 401, 403, 404), sent)
        if answer.status_code == 401:
            raise RefusedError(
                f"{what}: {self.api.name} does not accept the key in {self.key_name}. Put a valid key there.",
                status=401,
            )
        if answer.status_code not in expect:
            raise self.api.refused(answer, what)
        return None if answer.status_code == 404 else self._json(answer, what)

    def get(self, path: str, *, what: str) -> Any:
        """An object; None when it is gone."""
        return self.call("GET", path, what=what, expect=(200, 404))

    def pages(self, path: str, *, what: str, **query: str) -> Iterator[dict[str, Any]]:
        """Each entry of a list."""
        cursor = ""
        for _ in range(_MOST_PAGES):
            asked = {**query, "limit": str(_PAGE), **({"cursor": cursor} if cursor else {})}
            page = self.call("GET", f"{path}?{urlencode(asked)}", what=what)
            yield from page["data"]
            if not page.get("nextCursor") or page["nextCursor"] == cursor:
                return
            cursor = str(page["nextCursor"])
        raise ProviderError(f"{what}: {self.api.name} lists more than {_PAGE * _MOST_PAGES} objects at {path}.")

    @property
    def server(self) -> str:
        """Its address, which a state keeps of each object."""
        return self.api.base_url

    def check_kept(
        self, props: Mapping[str, Any], path: str, *, what: str, ours: Callable[[Mapping[str, Any]], bool]
    ) -> None:
        """Raises ConfigurationError where the object at `path` is on the region's server of before.

        `ours` says of an object that is found whether it is the tenant's.
        """

        def there() -> bool:
            found = self.get(path, what=what)
            return found is not None and ours(found)

        check_kept(props.get("server"), self.server, what=what, key="n8n.url", there=there)

    def webhook_url(self, path: str) -> str:
        return f"{self.webhooks.base_url}/webhook/{path}"

    def _answered(self, method: str, path: str, what: str, expect: Collection[int], sent: Any) -> httpx.Response:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            answer = self.api.call(method, f"/api/v1{path}", what=what, expect=expect, **sent)
            if not _is_starting(answer):
                return answer
            if time.monotonic() >= deadline:
                raise NotReadyError(
                    f"{what}: {self.api.name} still answers {answer.status_code} without JSON after "
                    f"{READY_SECONDS:g} s. Is that n8n's address, and has it started?"
                )
            time.sleep(PAUSE_SECONDS)

    def _json(self, answer: httpx.Response, what: str) -> Any:
        try:
            return answer.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise ProviderError(f"{what}: {self.api.name} answered something that is no JSON.") from None


def n8n_of(region: str, *, hidden: Collection[str] = ()) -> N8n:
    """The server of a region. `hidden` are values that no error may show. Raises ConfigurationError."""
    backend = n8n_backend_of(region)
    key = secret(backend.key_from)
    url, hooks = backend.url.rstrip("/"), (backend.webhook_url or backend.url).rstrip("/")
    secrets = (key, *filter(None, hidden))
    return N8n(
        api=Api(name=f"n8n at {url}", base_url=url, headers={"X-N8N-API-KEY": key}, secrets=secrets),
        webhooks=Api(name=f"the webhooks of n8n at {hooks}", base_url=hooks, seconds=_WEBHOOK_SECONDS),
        key_name=backend.key_from,
    )


def _is_starting(answer: httpx.Response) -> bool:
    kind = answer.headers.get("Content-Type", "")
    return answer.status_code in {200, 404} and "json" not in kind
