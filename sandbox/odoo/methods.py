"""Which methods of the models can be called, and with what: ids first, or none [ids-first].

Decides that a name which begins with _ is private [private-method], and that any other that is not here is unknown
[unknown-method].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.odoo.company import try_loading
from sandbox.odoo.orm import Env
from sandbox.odoo.refusals import Refusal, denied
from sandbox.odoo.till import open_counted

Args = list[Any]


def called(env: Env, model: str, method: str, args: Args, named: Mapping[str, Any]) -> Any:
    """What the method returns; None where it returns nothing. Raises Refusal, NotLoaded, and Python's own errors."""
    if method.startswith("_"):
        raise denied(f"Private methods (such as '{model}.{method}') cannot be called remotely.")
    env.model(model)
    found = _OF_ALL.get(method) or _own(env, model).get(method)
    if found is None:
        raise Refusal("builtins.AttributeError", f"The method '{model}.{method}' does not exist")
    return found(env, model, args, named)


def _own(env: Env, model: str) -> Mapping[str, Callable[..., Any]]:
    """What only one model has; [session-open] by version."""
    opening = "set_opening_control" if env.db.version >= 18 else "set_cashbox_pos"
    own = {"account.chart.template": {"try_loading": _try_loading}, "pos.session": {opening: _opened}}
    return own.get(model, {})


def _try_loading(env: Env, _model: str, args: Args, named: Mapping[str, Any]) -> None:
    given = args if "try_loading" in env.db.model_methods else _without_ids(args)[1]
    try_loading(env, *given, **named)


def _opened(env: Env, _model: str, args: Args, named: Mapping[str, Any]) -> None:
    numbers, given = _without_ids(args)
    for number in numbers:
        open_counted(env, number, *given, **named)


def _create(env: Env, model: str, args: Args, _named: Mapping[str, Any]) -> Any:
    [values] = args
    if isinstance(values, list):
        return [env.create(model, each)["id"] for each in values]
    return env.create(model, values)["id"]


def _write(env: Env, model: str, args: Args, _named: Mapping[str, Any]) -> bool:
    numbers, [values] = _without_ids(args)
    env.write(model, numbers, values)
    return True


def _unlink(env: Env, model: str, args: Args, _named: Mapping[str, Any]) -> bool:
    env.unlink(model, _without_ids(args)[0])
    return True


def _search_count(env: Env, model: str, args: Args, _named: Mapping[str, Any]) -> int:
    return len(list(env.each(model, _domain(env, model, args[0]))))


def _search_read(env: Env, model: str, args: Args, named: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = {name: value for name, value in named.items() if name != "domain"}
    asked = args[0] if args else named.get("domain", [])
    fields = [_stored(env, model, name) for name in given.pop("fields", ())]
    return env.search_read(model, _domain(env, model, asked), fields, **given)


def _load(env: Env, model: str, args: Args, _named: Mapping[str, Any]) -> dict[str, Any]:
    return env.load(model, args[0], args[1])


def _fields_get(env: Env, model: str, args: Args, _named: Mapping[str, Any]) -> dict[str, Any]:
    """[chart-offered]."""
    wanted = args[0] if args else []
    out: dict[str, Any] = {}
    for name, how in env.model(model).fields.items():
        if not wanted or name in wanted:
            charts = (model, name) == ("res.company", "chart_template")
            out[name] = {"selection": [list(pair) for pair in env.db.charts.items()]} if charts else {"type": how.kind}
    return out


def _without_ids(args: Args) -> tuple[list[int], Args]:
    ids, *rest = args
    return ([ids] if isinstance(ids, int) else list(ids)), rest


def _domain(env: Env, model: str, domain: Sequence[Any]) -> list[Any]:
    return [term if isinstance(term, str) else [_stored(env, model, term[0]), *term[1:]] for term in domain]


def _stored(env: Env, model: str, name: str) -> str:
    """[account-companies]: the field that this version does not have is unknown."""
    other = "company_id" if env.db.version >= 18 else "company_ids"
    if model == "account.account" and name == other:
        raise ValueError(f"Invalid field 'account.account.{name}'")
    return name


_OF_ALL: Mapping[str, Callable[..., Any]] = {
    "create": _create,
    "write": _write,
    "unlink": _unlink,
    "search_count": _search_count,
    "search_read": _search_read,
    "load": _load,
    "fields_get": _fields_get,
}
