"""What the engine asks of one resource: check, diff, create, read, update, delete. Knows the protocol's meanings, not
its transport, and calls the type for the rest.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from providers.plugin.errors import InitFailedError, ProviderError, RefusedError
from providers.plugin.package import Package
from providers.plugin.properties import (
    DEFAULTS_KEY,
    Checked,
    Kind,
    Naming,
    Property,
    check,
    diff,
    same,
)
from providers.plugin.resource import Call, ClientT, Completing, Keyed, ResourceType, title
from providers.plugin.service import Difference, PartialError
from providers.plugin.wire import UNKNOWN, Bag, Plain, has_unknown


def check_inputs(kind: ResourceType[ClientT], news: Bag, olds: Bag, naming: Naming) -> Checked:
    checked = check(title(kind.token), kind.spec, news, olds, naming)
    failures = (*checked.failures, *kind.validate(checked.inputs.values))
    inputs = checked.inputs
    if isinstance(kind, Completing) and not failures:
        inputs = replace(inputs, values=kind.complete(inputs.values))
    return replace(checked, inputs=inputs, failures=failures)


def difference(kind: ResourceType[ClientT], olds: Bag, news: Bag, ignored: Sequence[str]) -> Difference:
    changes = diff(kind.spec, olds, news, ignored)
    named = any(prop.autonamed for prop in kind.spec)
    # Of two objects of one name, the second cannot be made while the first is there.
    name_given = named and "name" not in (news.values.get(DEFAULTS_KEY) or [])
    return Difference(
        by_name=dict(changes.by_name),
        replaces=changes.replaces,
        delete_before_replace=kind.exclusive
        or name_given
        or (isinstance(kind, Keyed) and kind.same_key(olds.values, news.values)),
    )


def create(kind: ResourceType[ClientT], call: Call[ClientT], inputs: Bag) -> tuple[str, Bag]:
    """The id and the outputs. Raises PartialError where there is an object, but not as it is to be."""
    _require_known(kind, inputs.values)
    made, reason = _attempt(call, lambda: kind.create(call, inputs.values))
    try:
        facts = call.client.retrying(lambda: kind.read(call, inputs.values))
    except ProviderError as error:
        if not made:
            raise
        # Forgotten, nobody would ever take it away.
        known = _outputs(kind, inputs, {})
        raise PartialError(reason or str(error), object_id=made, outputs=known, inputs=inputs) from None
    if facts is None:
        gone = f"{_subject(kind, inputs.values)} was made, but is gone already: something else removes it"
        raise ProviderError(reason or gone)
    object_id, outputs = kind.identify(call, inputs.values | facts), _outputs(kind, inputs, facts)
    if reason:
        raise PartialError(reason, object_id=object_id, outputs=outputs, inputs=inputs)
    return object_id, outputs


def _attempt(call: Call[ClientT], action: Callable[[], str | None]) -> tuple[str, str]:
    """The id of what was made, if it is known; and why it is not yet as it is to be, empty when it is."""
    try:
        return call.client.retrying(action) or "", ""
    except InitFailedError as error:
        return error.object_id, str(error)


def preview_create(kind: ResourceType[ClientT], inputs: Bag) -> Bag:
    values = {name: value for name, value in inputs.values.items() if name != DEFAULTS_KEY}
    for prop in kind.spec:
        if prop.computed and prop.name not in values:
            values[prop.name] = UNKNOWN
    return Bag(values=values, secret=inputs.secret & values.keys())


def update(kind: ResourceType[ClientT], call: Call[ClientT], olds: Bag, news: Bag, ignored: Sequence[str]) -> Bag:
    _require_known(kind, news.values)
    changed = frozenset(diff(kind.spec, olds, news, ignored).by_name)
    wanted = _merged(kind, olds, news)
    _, reason = _attempt(call, lambda: kind.update(call, olds.values, wanted.values, changed))
    facts = kind.read(call, wanted.values)
    if facts is None:
        gone = f"{_subject(kind, wanted.values)} was changed, but is gone already: something else removes it"
        raise ProviderError(reason or gone)
    outputs = _outputs(kind, wanted, facts)
    if reason:
        raise PartialError(reason, object_id=call.object_id, outputs=outputs, inputs=news)
    return outputs


def preview_update(kind: ResourceType[ClientT], olds: Bag, news: Bag) -> Bag:
    merged = _merged(kind, olds, news)
    return replace(merged, values=merged.values | {prop.name: UNKNOWN for prop in kind.spec if prop.volatile})


def read(kind: ResourceType[ClientT], call: Call[ClientT], state: Bag, inputs: Bag) -> tuple[str, Bag, Bag] | None:
    """(id, outputs, inputs) of what exists, or None. Without a state this is an import: the id says what to read."""
    importing = not any(prop.name in state.values for prop in kind.spec)
    known = Bag(values=kind.parse_id(call.object_id)) if importing else state
    _require_known(kind, known.values)
    facts = kind.read(call, known.values)
    if facts is None:
        return None
    outputs = _outputs(kind, known, facts)
    # An import may name the object otherwise than by its id.
    object_id = str(facts.get("id") or call.object_id)
    return object_id, outputs, _imported(kind, outputs) if importing else _refreshed(kind, inputs, outputs)


def delete(kind: ResourceType[ClientT], call: Call[ClientT], olds: Bag) -> None:
    call.client.retrying(lambda: kind.delete(call, olds.values))


def schema_json(package: Package[ClientT]) -> str:
    """The package's schema, as far as it is served here."""
    resources = {}
    for token, kind in package.types.items():
        served = [prop for prop in kind.spec if not prop.refused]
        described = {prop.name: _described(prop) for prop in served}
        inputs = {prop.name: described[prop.name] for prop in served if not prop.output}
        required = [prop.name for prop in served if prop.required]
        resources[token] = {"inputProperties": inputs, "properties": described, "requiredInputs": required}
    variables = {prop.name: _described(prop) for prop in package.config if not prop.refused}
    schema = {
        "name": package.name,
        "version": package.version,
        "config": {"variables": variables},
        "resources": resources,
    }
    return json.dumps(schema, sort_keys=True)


def _outputs(kind: ResourceType[ClientT], known: Bag, facts: Plain) -> Bag:
    """What the server says, in the program's own spelling where that means the same."""
    values: Plain = {}
    for prop in kind.spec:
        value = known.values.get(prop.name)
        if prop.name in facts and not (value is not None and _says_as_much(prop, facts[prop.name], value)):
            value = facts[prop.name]
        if value is not None:
            values[prop.name] = value
    hidden = {prop.name for prop in kind.spec if prop.secret}
    return Bag(values=values, secret=frozenset(name for name in values if name in known.secret or name in hidden))


def _says_as_much(prop: Property, fact: Any, value: Any) -> bool:
    """Whether the program's own spelling can stand: not where the server has filled in parts of it."""
    return not any(field.computed for field in prop.fields) and same(prop, fact, value)


def _merged(kind: ResourceType[ClientT], olds: Bag, news: Bag) -> Bag:
    """The new inputs, over what the server chose before; what the program no longer gives is gone."""
    values = {
        prop.name: olds.values[prop.name]
        for prop in kind.spec
        if prop.computed and prop.name in olds.values and not prop.refused
    }
    values |= {name: value for name, value in news.values.items() if name != DEFAULTS_KEY}
    secret = {name for name in values if name in (news.secret if name in news.values else olds.secret)}
    return Bag(values=values, secret=frozenset(secret))


def _refreshed(kind: ResourceType[ClientT], inputs: Bag, outputs: Bag) -> Bag:
    known = {prop.name for prop in kind.spec}
    values = {
        name: outputs.values.get(name) if name in known else value
        for name, value in inputs.values.items()
        if name not in known or name in outputs.values
    }
    return Bag(values=values, secret=frozenset(name for name in values if name in inputs.secret | outputs.secret))


def _imported(kind: ResourceType[ClientT], outputs: Bag) -> Bag:
    values: dict[str, Any] = {
        prop.name: outputs.values[prop.name]
        for prop in kind.spec
        if prop.name in outputs.values
        and not prop.output
        and (prop.required or prop.autonamed or not _goes_without_saying(prop, outputs.values[prop.name]))
    }
    values[DEFAULTS_KEY] = []
    return Bag(values=values, secret=outputs.secret & values.keys())


def _goes_without_saying(prop: Property, value: Any) -> bool:
    return value in (prop.default, [], "", {}) or (prop.default is None and not value)


def _require_known(kind: ResourceType[ClientT], values: Plain) -> None:
    unknown = sorted(name for name, value in values.items() if has_unknown(value))
    if unknown:
        raise RefusedError(f"{_subject(kind, values)} cannot be handled yet: {', '.join(unknown)} not known")


def _subject(kind: ResourceType[ClientT], values: Plain) -> str:
    name = values.get("name")
    return f"{title(kind.token)} {name!r}" if isinstance(name, str) else title(kind.token)


_JSON_TYPES = {Kind.STRING: "string", Kind.BOOL: "boolean", Kind.INTEGER: "integer"}
_ANY_OBJECT = {"type": "object", "additionalProperties": {"$ref": "pulumi.json#/Any"}}


def _described(prop: Property) -> dict[str, Any]:
    if prop.kind in _JSON_TYPES:
        described: dict[str, Any] = {"type": _JSON_TYPES[prop.kind]}
    elif prop.kind in {Kind.OBJECTS, Kind.OBJECT_SET}:
        described = {"type": "array", "items": dict(_ANY_OBJECT)}
    elif prop.kind is Kind.OBJECT:
        described = dict(_ANY_OBJECT)
    elif prop.kind is Kind.MAP:
        described = {"type": "object", "additionalProperties": {"type": "string"}}
    else:
        described = {"type": "array", "items": {"type": "string"}}
    if prop.secret:
        described["secret"] = True
    if prop.replaces:
        described["replaceOnChanges"] = True
    return described
