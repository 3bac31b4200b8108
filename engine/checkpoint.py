"""Deployment V3 JSON: a Snapshot as the stock engine writes it, and back. No files: see `backend`.

A secret is `{SIG: SECRET_SIG, "ciphertext": ...}` around its JSON text, or `"plaintext"` where secrets are to be shown.
A secret that did not change keeps its ciphertext, so that an update without changes writes the same bytes; this goes by
its place (resource, field, path), because one ciphertext in two places would tell that the two are equal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final, Protocol

from engine.errors import StateError
from engine.resource import SECRET_SIG, SIG_KEY, UNKNOWN, UNKNOWN_SENTINEL, Secret, State, Timeouts
from engine.snapshot import PendingOperation, Snapshot

VERSION: Final = 3
LATEST: Final = 4

#: (JSON name, State attribute, always written), in the stock engine's order.
_FIELDS: Final[tuple[tuple[str, str, bool], ...]] = (
    ("urn", "urn", True),
    ("custom", "custom", True),
    ("delete", "delete", False),
    ("id", "id", False),
    ("type", "type", True),
    ("inputs", "inputs", False),
    ("outputs", "outputs", False),
    ("parent", "parent", False),
    ("protect", "protect", False),
    ("taint", "taint", False),
    ("external", "external", False),
    ("dependencies", "dependencies", False),
    ("initErrors", "init_errors", False),
    ("provider", "provider", False),
    ("propertyDependencies", "property_dependencies", False),
    ("pendingReplacement", "pending_replacement", False),
    ("additionalSecretOutputs", "additional_secret_outputs", False),
    ("aliases", "aliases", False),
    ("customTimeouts", "custom_timeouts", False),
    ("importID", "import_id", False),
    ("retainOnDelete", "retain_on_delete", False),
    ("deletedWith", "deleted_with", False),
    ("replaceWith", "replace_with", False),
    ("created", "created", False),
    ("modified", "modified", False),
    ("sourcePosition", "source_position", False),
    ("ignoreChanges", "ignore_changes", False),
    ("hideDiff", "hide_diff", False),
    ("replaceOnChanges", "replace_on_changes", False),
    ("replacementTrigger", "replacement_trigger", False),
    ("refreshBeforeUpdate", "refresh_before_update", False),
    ("viewOf", "view_of", False),
    ("resourceHooks", "resource_hooks", False),
)
_VALUES: Final = frozenset({"inputs", "outputs", "replacement_trigger"})
_TIMEOUTS: Final = ("create", "update", "delete", "read")
_ATTRIBUTES: Final = {name: attribute for name, attribute, _ in _FIELDS}
_all_of: Final = attrgetter(*(f.name for f in fields(State)))
#: What is most easily changed in place.
_sized_of: Final = attrgetter("inputs", "outputs", "dependencies", "init_errors", "aliases", "property_dependencies")
#: What a deployment may need of its reader (schema version 4), by the attribute that makes it so.
_FEATURES: Final = (
    ("refresh_before_update", "refreshBeforeUpdate"),
    ("resource_hooks", "hooks"),
    ("taint", "taint"),
    ("view_of", "views"),
)


class Cipher(Protocol):
    """What encrypts and decrypts a secret's JSON text."""

    def encrypt(self, plaintext: str) -> str: ...

    def decrypt(self, text: str) -> str: ...


Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Cached:
    """One resource's JSON, while its attributes are what they were. Holding them keeps identities from being reused."""

    state: State
    values: tuple[Any, ...]
    sizes: tuple[int, ...]
    text: str


class Codec:
    """Reads and writes snapshots of one stack; remembers ciphertexts and the JSON of what did not change."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self._ciphertexts: dict[Place, tuple[str, str]] = {}
        self._texts: dict[int, _Cached] = {}

    # -------------------------------------------------------------- writing

    def dumps(self, snapshot: Snapshot, *, fresh: bool = False) -> str:
        """The deployment as JSON, one resource a line. `fresh` uses no remembered text, only ciphertexts."""
        if fresh:
            self._texts.clear()
        resources = ",\n".join(self._text(state) for state in snapshot.resources)
        pending = ",\n".join(
            json.dumps({"resource": self.state_to_dict(op.resource), "type": op.type}) for op in snapshot.pending
        )
        parts = [f'"manifest": {json.dumps(manifest())}']
        if snapshot.secrets_provider:
            parts.append(f'"secrets_providers": {json.dumps(snapshot.secrets_provider)}')
        if snapshot.resources:
            parts.append(f'"resources": [\n{resources}\n]')
        if snapshot.pending:
            parts.append(f'"pending_operations": [\n{pending}\n]')
        parts.append(f'"metadata": {json.dumps(snapshot.metadata)}')
        return "{" + ",\n".join(parts) + "}"

    def to_dict(self, snapshot: Snapshot, *, show_secrets: bool = False) -> dict[str, Any]:
        """The deployment as plain data; with `show_secrets`, secrets are in plain text."""
        body: dict[str, Any] = {"manifest": manifest()}
        if snapshot.secrets_provider:
            body["secrets_providers"] = snapshot.secrets_provider
        if snapshot.resources:
            body["resources"] = [self.state_to_dict(s, show_secrets=show_secrets) for s in snapshot.resources]
        if snapshot.pending:
            body["pending_operations"] = [
                {"resource": self.state_to_dict(op.resource, show_secrets=show_secrets), "type": op.type}
                for op in snapshot.pending
            ]
        body["metadata"] = snapshot.metadata
        return body

    def state_to_dict(self, state: State, *, show_secrets: bool = False) -> dict[str, Any]:
        body: dict[str, Any] = {}
        for name, attribute, always in _FIELDS:
            value = getattr(state, attribute)
            if attribute == "custom_timeouts":
                value = {key: getattr(value, key) for key in _TIMEOUTS if getattr(value, key)}
            elif attribute in _VALUES and value:
                value = self._plain(value, (state.urn, attribute), show_secrets=show_secrets)
            # A trigger may be any value, also an empty one.
            given = value is not None if attribute == "replacement_trigger" else value not in (None, "", False, [], {})
            if always or given:
                body[name] = value
        return body

    def _text(self, state: State) -> str:
        values = _all_of(state)
        sizes = tuple(map(len, _sized_of(state)))
        known = self._texts.get(id(state))
        # Comparing tuples asks for identity first, which is what makes a save of 500 resources cheap.
        if known is not None and known.state is state and known.sizes == sizes and known.values == values:
            return known.text
        text = json.dumps(self.state_to_dict(state), ensure_ascii=False)
        self._texts[id(state)] = _Cached(state, values, sizes, text)
        return text

    def _plain(self, value: Any, place: Place, *, show_secrets: bool) -> Any:
        if isinstance(value, str) or value is None:
            return value
        if isinstance(value, dict):
            return {k: self._plain(v, (*place, k), show_secrets=show_secrets) for k, v in value.items()}
        if isinstance(value, list):
            return [self._plain(v, (*place, str(i)), show_secrets=show_secrets) for i, v in enumerate(value)]
        if isinstance(value, Secret):
            return self._secret(value, place, show_secrets=show_secrets)
        return UNKNOWN_SENTINEL if value is UNKNOWN else value

    def _secret(self, secret: Secret, place: Place, *, show_secrets: bool) -> dict[str, Any]:
        text = json.dumps(self._plain(secret.value, (*place, ""), show_secrets=True), separators=(",", ":"))
        if show_secrets:
            return {SIG_KEY: SECRET_SIG, "plaintext": text}
        known = self._ciphertexts.get(place)
        if known is None or known[0] != text:
            known = self._ciphertexts[place] = (text, self._cipher.encrypt(text))
        return {SIG_KEY: SECRET_SIG, "ciphertext": known[1]}

    def value_to_json(self, value: Any, place: Place) -> Any:
        """A property value as plain data, its secrets encrypted; `place` is where it stands, as (URN, field...)."""
        return self._plain(value, place, show_secrets=False)

    # -------------------------------------------------------------- reading

    def value_from_json(self, value: Any, place: Place) -> Any:
        """A property value from plain data. Raises StateError and SecretsError."""
        return self._value(value, place)

    def from_dict(self, deployment: Mapping[str, Any]) -> Snapshot:
        """The snapshot in a deployment. Raises StateError for what is not one, SecretsError for a wrong passphrase."""
        if not isinstance(deployment, Mapping):
            raise StateError(f"a deployment is an object, not a {type(deployment).__name__}")
        pending = []
        for op in _list(deployment, "pending_operations"):
            if not isinstance(op, Mapping) or not isinstance(op.get("type"), str):
                raise StateError("a pending operation has no type")
            pending.append(PendingOperation(type=op["type"], resource=self.state_from_dict(op.get("resource"))))
        return Snapshot(
            resources=[self.state_from_dict(r) for r in _list(deployment, "resources")],
            pending=pending,
            secrets_provider=dict(deployment.get("secrets_providers") or {}),
            metadata=dict(deployment.get("metadata") or {}),
        )

    def state_from_dict(self, body: Any) -> State:
        if not isinstance(body, Mapping) or not isinstance(body.get("urn"), str):
            raise StateError("a resource in the state has no urn")
        urn = body["urn"]
        _check(urn, body)
        known: dict[str, Any] = {"type": "", "custom": False}
        for name, value in body.items():
            attribute = _ATTRIBUTES.get(name)
            if attribute is not None and value is not None:
                known[attribute] = self._attribute(urn, attribute, value)
        return State(**known)

    def _attribute(self, urn: str, attribute: str, value: Any) -> Any:
        if attribute == "custom_timeouts":
            return Timeouts(**{key: value[key] for key in _TIMEOUTS if key in value})
        if attribute == "property_dependencies":
            return {key: list(urns or []) for key, urns in value.items()}
        return self._value(value, (urn, attribute)) if attribute in _VALUES else value

    def _value(self, value: Any, place: Place) -> Any:
        if isinstance(value, list):
            return [self._value(v, (*place, str(i))) for i, v in enumerate(value)]
        if not isinstance(value, dict):
            return UNKNOWN if value == UNKNOWN_SENTINEL else value
        if value.get(SIG_KEY) != SECRET_SIG:
            return {k: self._value(v, (*place, k)) for k, v in value.items()}
        if "plaintext" in value:
            text = value["plaintext"]
        elif "ciphertext" in value:
            text = self._cipher.decrypt(value["ciphertext"])
            self._ciphertexts[place] = (text, value["ciphertext"])
        else:
            raise StateError(f"a secret of {place[0]} has neither ciphertext nor plaintext")
        try:
            return Secret(self._value(json.loads(text), (*place, "")))
        except ValueError as error:
            raise StateError(f"a secret of {place[0]} ({'.'.join(place[1:])}) does not hold JSON") from error


_TYPES: Final[tuple[tuple[type, Sequence[str]], ...]] = (
    (str, ("type", "id", "parent", "provider", "importID", "deletedWith", "created", "modified", "viewOf")),
    (bool, ("custom", "delete", "protect", "taint", "external", "pendingReplacement", "retainOnDelete")),
    (dict, ("inputs", "outputs", "propertyDependencies", "customTimeouts", "resourceHooks")),
    (list, ("dependencies", "initErrors", "aliases", "additionalSecretOutputs", "replaceWith", "ignoreChanges")),
)


def _check(urn: str, body: Mapping[str, Any]) -> None:
    if not urn.startswith("urn:pulumi:") or urn.count("::") < 3:
        raise StateError(f"'{urn}' in the state is not a URN")
    for expected, names in _TYPES:
        for name in names:
            value = body.get(name)
            if value is not None and not isinstance(value, expected):
                raise StateError(f"{urn}: {name} is a {type(value).__name__}, not a {expected.__name__}")


def _list(deployment: Mapping[str, Any], name: str) -> list[Any]:
    value = deployment.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise StateError(f"'{name}' of the deployment is not a list")
    return value


def manifest() -> dict[str, str]:
    """When this was written, and by which version."""
    from engine.versions import MAGIC, VERSION_TEXT

    return {"time": now_text(), "magic": MAGIC, "version": VERSION_TEXT}


def now_text(clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> str:
    """The time as RFC 3339 in UTC, with microseconds."""
    return clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def features(snapshot: Snapshot) -> list[str]:
    """What a reader of this deployment must understand; anything makes it version 4 instead of 3."""
    states = [*snapshot.resources, *(op.resource for op in snapshot.pending)]
    return [name for attribute, name in _FEATURES if any(getattr(state, attribute) for state in states)]
