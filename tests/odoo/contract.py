"""An Odoo as a contract test sees it: the simulator, and a real one where ODOO_URL, _DB, _USER and _KEY name it.

On a real server all that a test makes has a name of its own, and goes again. Use a database for trials: a company that
Odoo does not let go stays, archived, and so does what was installed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from sandbox.odoo.facts import ROWS, sureness
from tests.contracts import Contract

VARIABLES = ("ODOO_URL", "ODOO_DB", "ODOO_USER", "ODOO_KEY")
CONTRACT = Contract(rows=ROWS, sureness=sureness, fixture="server", title="Odoo, by the rows of sandbox/odoo/facts.py")
row, report_lines = CONTRACT.row, CONTRACT.lines


class Refused(Exception):  # noqa: N818 - what a test looks for
    """`name` is that of Odoo's exception."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        self.error = error
        self.name = str((error.get("data") or {}).get("name"))
        super().__init__(f"{self.name}: {(error.get('data') or {}).get('message')}")


@dataclass(slots=True, kw_only=True)
class Odoo:
    """A database, as somebody sees it who is not Tenantry. What it `make`s goes at the end of the test."""

    url: str
    database: str
    user: str
    key: str = field(repr=False)
    real: bool
    client: httpx.Client = field(repr=False)
    uid: int = 0
    made: list[tuple[str, int]] = field(default_factory=list, repr=False)

    def answer(self, service: str, method: str, *args: Any) -> httpx.Response:
        params = {"service": service, "method": method, "args": list(args)}
        return self.client.post(f"{self.url}/jsonrpc", json={"jsonrpc": "2.0", "id": 7, "params": params})

    def told(self, service: str, method: str, *args: Any) -> dict[str, Any]:
        answer = self.answer(service, method, *args)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def call(self, model: str, method: str, *args: Any, **kwargs: Any) -> Any:
        """The result; None where there is none. Raises Refused."""
        told = self.told("object", "execute_kw", self.database, self.uid, self.key, model, method, list(args), kwargs)
        if "error" in told:
            raise Refused(told["error"])
        return told.get("result")

    def refusal(self, model: str, method: str, *args: Any, **kwargs: Any) -> str:
        """The name of the exception. Fails where there is none."""
        with pytest.raises(Refused) as caught:
            self.call(model, method, *args, **kwargs)
        return caught.value.name

    def make(self, model: str, **values: Any) -> int:
        made = int(self.call(model, "create", values, context=self.context(values)))
        self.made.append((model, made))
        return made

    def find(self, model: str, domain: list[Any], *fields: str, **context: Any) -> list[dict[str, Any]]:
        found = self.call(model, "search_read", domain, fields=list(fields), context=context)
        return [dict(each) for each in found]

    def read(self, model: str, number: int, *fields: str) -> dict[str, Any]:
        [found] = self.find(model, [["id", "=", number]], *fields, active_test=False)
        return found

    def context(self, values: Mapping[str, Any]) -> dict[str, Any]:
        company = values.get("company_id")
        return {"allowed_company_ids": [company]} if company else {}

    @property
    def major(self) -> int:
        return int(self.told("common", "version")["result"]["server_version_info"][0])

    @property
    def accounts_of(self) -> str:
        return "company_ids" if self.major >= 18 else "company_id"

    def clean(self) -> None:
        """The last made goes first; what Odoo keeps is archived, if it can be."""
        for model, number in reversed(self.made):
            for method, args in (("unlink", ()), ("write", ({"active": False},))):
                try:
                    self.call(model, method, [number], *args)
                    break
                except Refused:
                    continue
        self.made.clear()


def servers() -> list[str]:
    """Which there are. Raises for a real one that is named by half."""
    named = [name for name in VARIABLES if os.environ.get(name)]
    if named and len(named) < len(VARIABLES):
        raise pytest.UsageError(f"a real Odoo needs all of {', '.join(VARIABLES)}; there is only {', '.join(named)}")
    return ["simulated", "real"] if named else ["simulated"]
