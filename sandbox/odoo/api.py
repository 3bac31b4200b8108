"""The simulated database's front: who asks, which call goes where, and how success and refusal are told.

Decides the order: faults, login, method; and that a call's changes are kept whole or not at all [rollback].
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any

from sandbox.faults import Fault, Faults, Kind, Log, gateway_answer
from sandbox.http import HTML, Answer, BadBodyError, Request
from sandbox.odoo import fixtures
from sandbox.odoo.methods import called
from sandbox.odoo.orm import Database, Env
from sandbox.odoo.refusals import NotLoaded, Refusal, no_login, pythons
from sandbox.records import Records
from sandbox.store import Store

DATABASE = "shops"
_KEYS, _SWITCHES = "#key", "#switches"
_NOTHING: dict[str, Any] = {}


class Site:
    """The whole simulator. Switches are kept: `version`, `charts` by code, `model_methods`, `old_rpc`."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.records = Records(store, clock)
        self.db = Database(records=self.records, rules=fixtures.RULES)
        self.faults, self.log = Faults(), Log()
        self._lock, self._sleep, self._rpc = threading.Lock(), sleep, True
        if self.records.look("res.users", "1") is None:
            with self.records.request():
                fixtures.installed(self.db)
        self._switch(self.records.look(_SWITCHES, "all") or {})

    @property
    def root(self) -> Env:
        """Odoo itself, who sees all."""
        return Env(db=self.db, user=self.records.look("res.users", "1") or {}, context={"active_test": False})

    def handle(self, request: Request) -> Answer | None:
        """The answer to any request; None for a connection that is cut. Waits are no wait for others."""
        service, method, args, number = _asked(request)
        what, path = _named(service, method, args)
        waits, fault = self.faults.matching(what, path)
        if waits:
            self._sleep(waits)
        answer: Answer | None = None
        user = ""
        if fault is None or fault.after:
            user, answer = self._answered(request, service, method, args, number)
        if fault is not None:
            answer = _faulty(fault, number)
        self.log.add(request, status=answer.status if answer else 0, user=user, fault=fault, method=what, path=path)
        return answer

    def close(self) -> None:
        with self._lock:
            self.records.close()

    def add_user(self, login: str, *, key: str = "", system: bool = True) -> str:
        """The key of a user, who may use the first company. `system`: with the right Settings."""
        key = key or token_hex(20)
        with self._lock, self.records.request():
            root = self.root
            found = next(root.each("res.users", [["login", "=", login]]), None)
            first = {"login": login, "name": login, "company_id": 1, "company_ids": [[6, 0, [1]]], "system": system}
            number = found["id"] if found else root.create("res.users", first)["id"]
            self.records.put(_KEYS, login, {"name": login, "user": number, "key": key})
        return key

    def switch(self, **switches: Any) -> None:
        """Keeps them across restarts. Raises TypeError for one that there is not."""
        unknown = switches.keys() - {"version", "charts", "model_methods", "old_rpc"}
        if unknown:
            raise TypeError(f"no such switch: {', '.join(sorted(unknown))}")
        with self._lock, self.records.request():
            kept = {**(self.records.look(_SWITCHES, "all") or {}), **switches}
            self.records.put(_SWITCHES, "all", kept)
            self._switch(kept)

    def alone(self) -> threading.Lock:
        """For what is changed past the API: nothing is asked meanwhile."""
        return self._lock

    def _switch(self, kept: Mapping[str, Any]) -> None:
        self.db.version = int(kept.get("version", 18))
        self.db.charts = dict(kept.get("charts") or fixtures.CHARTS)
        self.db.model_methods = frozenset(kept.get("model_methods") or ())
        self._rpc = bool(kept.get("old_rpc", True))

    def _answered(
        self, request: Request, service: str, method: str, args: list[Any], number: Any
    ) -> tuple[str, Answer]:
        if request.method != "POST" or request.path != "/jsonrpc":
            return "", Answer(status=404, body="<html><h1>Not Found</h1></html>\n", content_type=HTML)
        user = ""
        with self._lock:
            try:
                if (service, method) == ("common", "version"):
                    return user, _result(self._version(), number)
                if not self._rpc:
                    raise Refusal("werkzeug.exceptions.NotFound", "404 Not Found", code=404)  # [old-rpc]
                if (service, method) == ("common", "authenticate"):
                    return str(args[1]), _result(self._authenticated(*args[:3]) or False, number)
                if (service, method) != ("object", "execute_kw"):
                    raise Refusal("builtins.NameError", f"Method not available {method}")
                env, model, what, given, named = self._env(args)
                user = str(env.user["login"])
                with self.records.request():
                    return user, _result(called(env, model, what, given, named), number)
            except NotLoaded as told:
                return user, _result(told.result(), number)
            except Refusal as refusal:
                return user, refusal.answer(number)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                return user, pythons(error).answer(number)

    def _version(self) -> dict[str, Any]:
        """[version]."""
        serie = f"{self.db.version}.0"
        info = [self.db.version, 0, 0, "final", 0, ""]
        return {"server_version": serie, "server_version_info": info, "server_serie": serie, "protocol_version": 1}

    def _authenticated(self, database: str, login: str, key: str) -> int | None:
        """[authenticate], [wrong-login], [wrong-database]."""
        if database != DATABASE:
            raise Refusal("psycopg2.OperationalError", f'FATAL:  database "{database}" does not exist')
        known = self.records.look(_KEYS, login)
        if known is None or not hmac.compare_digest(str(known["key"]).encode(), str(key).encode()):
            return None
        return int(known["user"])

    def _env(self, args: list[Any]) -> tuple[Env, str, str, list[Any], dict[str, Any]]:
        """[wrong-key]."""
        database, number, key, model, method, given, *rest = args
        named = dict(rest[0]) if rest else {}
        user = self.records.look("res.users", str(number))
        if user is None or self._authenticated(database, str(user["login"]), key) != number:
            raise no_login()
        context = named.pop("context", None) or {}
        return Env(db=self.db, user=user, context=context), model, method, list(given), named


def _asked(request: Request) -> tuple[str, str, list[Any], Any]:
    try:
        body = request.json()
    except BadBodyError:
        return "", "", [], None
    told = body if isinstance(body, dict) else _NOTHING
    params = told.get("params")
    params = params if isinstance(params, dict) else _NOTHING
    args = params.get("args")
    return str(params.get("service")), str(params.get("method")), args if isinstance(args, list) else [], told.get("id")


def _named(service: str, method: str, args: list[Any]) -> tuple[str, str]:
    """(method, path) by which a call is known to faults and to what was asked; of a `load` also by what it loads."""
    if service == "object" and len(args) > 4:
        return str(args[4]), "/".join(["", str(args[3]), *(_loaded(args[5:]) if args[4] == "load" else ())])
    return method, f"/{service}"


def _loaded(given: list[Any]) -> list[str]:
    """The external identifier of the first row."""
    try:
        [[_, [[name, *_], *_]], *_] = given
    except (TypeError, ValueError):
        return []
    return [str(name)]


def _result(result: Any, number: Any) -> Answer:
    """[envelope], [no-result]."""
    told = {} if result is None else {"result": result}
    return Answer(body={"jsonrpc": "2.0", "id": number, **told})


def _faulty(fault: Fault, number: Any) -> Answer | None:
    """What the caller gets instead; None for a connection that is cut. [too-many], [busy]."""
    if fault.kind is Kind.DROP:
        return None
    if fault.kind is Kind.BUSY:
        words = "could not serialize access due to concurrent update"
        return Refusal("psycopg2.errors.SerializationFailure", words).answer(number)
    status = {Kind.TOO_MANY: 429, Kind.MAINTENANCE: 503}.get(fault.kind, fault.status)
    page = gateway_answer(status)
    headers = {"Retry-After": f"{fault.seconds:g}"} if fault.seconds else {}
    return Answer(status=status, body=page.body, content_type=HTML, headers=headers)
