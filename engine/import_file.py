"""The JSON file of `pulumi import --file`, and the one that `preview --import-file` writes. Pure: no files.

A resource has a name in the program (`name`) and one in its URN (`logicalName`); each stands for the other where only
one is given. Parents and providers go by the names of the file's `nameTable`, parents also by those of its resources.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.errors import UsageError
from engine.operation import Event, Import
from engine.resource import (
    STACK_TYPE,
    is_provider_type,
    make_urn,
    qualified_type,
    split_provider_ref,
    urn_name,
    urn_type,
)

PLACEHOLDER: Final = "<PLACEHOLDER>"
_TEXTS: Final = ("type", "name", "id", "parent", "provider", "version", "pluginDownloadUrl", "logicalName")
_FLAGS: Final = ("component", "remote")
_LIST: Final = "properties"
_TOKEN_PARTS: Final = 3


@dataclass(slots=True, kw_only=True)
class Spec:
    """One entry of the file, in its own words."""

    type: str = ""
    name: str = ""
    id: str = ""
    parent: str = ""
    provider: str = ""
    version: str = ""
    plugin_download_url: str = ""
    properties: tuple[str, ...] = ()
    component: bool = False
    remote: bool = False
    logical_name: str = ""

    def to_dict(self) -> dict[str, Any]:
        body = {
            "type": self.type,
            "name": self.name,
            "id": self.id,
            "parent": self.parent,
            "provider": self.provider,
            "version": self.version,
            "pluginDownloadUrl": self.plugin_download_url,
            "properties": list(self.properties),
            "component": self.component,
            "remote": self.remote,
            "logicalName": self.logical_name,
        }
        return {key: value for key, value in body.items() if value or key in ("type", "name")}


@dataclass(slots=True, kw_only=True)
class ImportFile:
    """The file. `names` is its name table: name in the program -> URN."""

    specs: list[Spec] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def dumps(self) -> str:
        body: dict[str, Any] = {}
        if self.names:
            body["nameTable"] = dict(sorted(self.names.items()))
        if self.specs:
            body["resources"] = [spec.to_dict() for spec in self.specs]
        return json.dumps(body, indent=4, ensure_ascii=False) + "\n"


# ------------------------------------------------------------------ reading


def loads(text: str) -> ImportFile:
    """The file's content. Raises UsageError, with the entry and the key, for what is not one."""
    try:
        body = json.loads(text)
    except ValueError as error:
        raise UsageError(f"could not read import file: it is not JSON ({error})") from error
    if not isinstance(body, dict):
        raise UsageError("could not read import file: it is not an object with 'resources'")
    if body.get("providerInputs"):
        raise UsageError(
            "'providerInputs' of an import file is not served: make the provider with `pulumi up` first, then name its "
            "URN in 'nameTable'"
        )
    given = {key: value for key, value in body.items() if value is not None}
    names, resources = given.get("nameTable", {}), given.get("resources", [])
    if not isinstance(names, dict) or not all(isinstance(urn, str) for urn in names.values()):
        raise UsageError("could not read import file: 'nameTable' is not an object of names and URNs")
    if not isinstance(resources, list):
        raise UsageError("could not read import file: 'resources' is not a list")
    return ImportFile(specs=[_spec(number, entry) for number, entry in enumerate(resources)], names=dict(names))


def _spec(number: int, entry: Any) -> Spec:
    where = f"could not read import file: resource {number}"
    if not isinstance(entry, dict):
        raise UsageError(f"{where} is not an object")
    entry = {key: value for key, value in entry.items() if value is not None}
    for key, value in entry.items():
        good = (
            (key in _TEXTS and isinstance(value, str))
            or (key in _FLAGS and isinstance(value, bool))
            or (key == _LIST and isinstance(value, list) and all(isinstance(name, str) for name in value))
        )
        if not good:
            known = key in _TEXTS or key in _FLAGS or key == _LIST
            raise UsageError(f"{where}: '{key}' {'is of the wrong kind' if known else 'is not understood'}")
    return Spec(
        type=entry.get("type", ""),
        name=entry.get("name", ""),
        id=entry.get("id", ""),
        parent=entry.get("parent", ""),
        provider=entry.get("provider", ""),
        version=entry.get("version", ""),
        plugin_download_url=entry.get("pluginDownloadUrl", ""),
        properties=tuple(entry.get(_LIST, ())),
        component=entry.get("component", False),
        remote=entry.get("remote", False),
        logical_name=entry.get("logicalName", ""),
    )


def inline(words: tuple[str, ...], *, properties: tuple[str, ...], parent: str, provider: str) -> ImportFile:
    """The file that `import TYPE NAME ID` stands for. `parent` and `provider` are `name=URN`, or a URN."""
    type_, name, id_ = words
    spec = Spec(type=type_, name=name, id=id_, properties=properties)
    names: dict[str, str] = {}
    if parent:
        spec.parent, urn = _named(parent, "parent")
        names[spec.parent] = urn
    if provider:
        spec.provider, urn = _named(provider, "provider")
        if spec.provider in names:
            raise UsageError(f"provider and parent must have distinct names, both were '{spec.provider}'")
        names[spec.provider] = urn
    return ImportFile(specs=[spec], names=names)


def _named(text: str, what: str) -> tuple[str, str]:
    name, equals, urn = text.partition("=")
    if not equals or text.startswith("urn:"):
        name, urn = what, text
    if not name or not _is_urn(urn):
        raise UsageError(f"invalid {what} URN: '{urn}'")
    if is_provider_type(urn_type(urn)) and urn.count("::") > 3:
        raise UsageError(f"expected a URN but got a Provider Reference, use '{split_provider_ref(urn)[0]}' instead")
    return name, urn


def _is_urn(text: str) -> bool:
    return text.startswith("urn:pulumi:") and text.count("::") >= 3


# ------------------------------------------------------------------ resolving


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What an import file asks for. `names` gives the name in the program by URN, also of parents and providers."""

    imports: tuple[Import, ...]
    names: Mapping[str, str]


def resolve(file: ImportFile, *, stack: str, project: str, protect: bool) -> Resolved:
    """URNs for all names. Raises UsageError with everything that is wrong, a line each, in the stock engine's words."""
    specs = file.specs
    for spec in specs:
        spec.logical_name = spec.logical_name or spec.name
        spec.name = spec.name or spec.logical_name
    errors = [error for number, spec in enumerate(specs) for error in _incomplete(number, spec)]
    if not errors:
        urns, errors = _urns(file, stack, project)
    _refuse(errors)
    imports = []
    for number, (spec, urn) in enumerate(zip(specs, urns, strict=True)):
        errors.extend(_provider_errors(file, number, spec))
        imports.append(
            Import(
                type=spec.type,
                name=urn_name(urn),
                id=spec.id,
                parent=_parent_urn(file, spec, urns) if spec.parent else "",
                provider=file.names.get(spec.provider, ""),
                version=spec.version.removeprefix("v"),
                download_url=spec.plugin_download_url,
                properties=spec.properties,
                protect=protect,
                component=spec.component,
                remote=spec.remote,
            )
        )
    _refuse(errors)
    for wanted in imports:
        check_token(wanted)
    return Resolved(imports=tuple(imports), names=_program_names(file, urns))


def check_token(wanted: Import) -> None:
    """Raises UsageError for a type that no provider can have; a component of the program's own may have any."""
    if wanted.component and not wanted.remote:
        return
    parts = wanted.type.split(":")
    if len(parts) != _TOKEN_PARTS or not all(parts):
        raise UsageError(
            f'import type "{wanted.type}" is not a valid resource type token. Type tokens must be of the format '
            "<package>:<module>:<type> - refer to the import section of the provider resource documentation."
        )


def _refuse(errors: list[str]) -> None:
    if len(errors) == 1:
        raise UsageError(errors[0])
    if errors:
        lines = "".join(f"\n\t* {error}" for error in errors)
        raise UsageError(f"{len(errors)} errors occurred:{lines}")


def _describe(number: int, spec: Spec) -> str:
    what = f"'{spec.name or spec.id}'" if spec.name or spec.id else str(number)
    return f"resource {what}" + (f" of type '{spec.type}'" if spec.type else "")


def _incomplete(number: int, spec: Spec) -> Iterable[str]:
    who = _describe(number, spec)
    if not spec.type:
        yield f"{who} has no type"
    if not spec.name:
        yield f"{who} has no name"
    if not spec.component and not spec.id:
        yield f"{who} has no ID"
    if not spec.component and spec.id == PLACEHOLDER:
        yield f"{who} has the ID {PLACEHOLDER}: write the object's own there"
    if spec.component and spec.id:
        yield f"{who} has an ID, but is marked as a component"
    if spec.remote and not spec.component:
        yield f"{who} is marked as remote, but not as a component"


def _urns(file: ImportFile, stack: str, project: str) -> tuple[list[str], list[str]]:
    """(the URN of each entry, what is wrong with them); parents are resolved before their children."""
    found: dict[int, str] = {}
    taken = set(file.names.values())
    errors: list[str] = []
    waiting = list(range(len(file.specs)))
    while waiting and not errors:
        ready = [n for n in waiting if _parent_is_known(file, n, found, errors)]
        if not ready and not errors:
            names = ", ".join(f"'{file.specs[n].name}'" for n in waiting)
            errors.append(f"the parents of {names} are their own children")
        for number in ready:
            spec = file.specs[number]
            parent = _parent_urn(file, spec, [found.get(n, "") for n in range(len(file.specs))]) if spec.parent else ""
            urn = make_urn(stack, project, parent, spec.type, spec.logical_name)
            if urn in taken:
                who = _describe(number, spec)
                errors.append(f"{who} has an ambiguous URN, set name (or logical name) to be unique")
            found[number] = urn
            taken.add(urn)
        waiting = [n for n in waiting if n not in found]
    return [found.get(n, "") for n in range(len(file.specs))], errors


def _parent_is_known(file: ImportFile, number: int, found: Mapping[int, str], errors: list[str]) -> bool:
    spec = file.specs[number]
    if not spec.parent:
        return True
    same = [n for n, other in enumerate(file.specs) if other.name == spec.parent]
    if len(same) > 1:
        errors.append(f"{_describe(number, spec)} has an ambiguous parent")
    if spec.parent in file.names:
        return True
    if not same:
        errors.append(f"the parent '{spec.parent}' for {_describe(number, spec)} has no entry in 'nameTable'")
        return False
    return same[0] in found


def _parent_urn(file: ImportFile, spec: Spec, urns: list[str]) -> str:
    if spec.parent in file.names:
        return file.names[spec.parent]
    return next(urn for other, urn in zip(file.specs, urns, strict=True) if other.name == spec.parent)


def _provider_errors(file: ImportFile, number: int, spec: Spec) -> Iterable[str]:
    if not spec.provider:
        return
    if sum(other.name == spec.provider for other in file.specs) > 1:
        yield f"{_describe(number, spec)} has an ambiguous provider"
    if spec.provider not in file.names:
        yield f"the provider '{spec.provider}' for {_describe(number, spec)} has no entry in 'nameTable'"


def _program_names(file: ImportFile, urns: list[str]) -> dict[str, str]:
    names = {urn: name for name, urn in file.names.items()}
    used = {*names.values(), *(spec.name for spec in file.specs)}
    for spec, urn in zip(file.specs, urns, strict=True):
        names[urn] = spec.name if spec.name not in names.values() else unique_name(spec.name, spec.type, used)
        used.add(names[urn])
    return names


def unique_name(name: str, type_: str, taken: Iterable[str]) -> str:
    """A name that nothing else has: with the type's own name, then with a number."""
    last = type_.rsplit(":", 1)[-1]
    base = name + last[:1].upper() + last[1:]
    used, found, number = set(taken), base, 2
    while found in used:
        found, number = f"{base}{number}", number + 1
    return found


# ------------------------------------------------------------------ from a preview


class _Builder:
    """Makes a file of the resources that a preview would create, as its events come."""

    def __init__(self) -> None:
        self.file = ImportFile()
        self._names: dict[str, str] = {}
        self._created: set[str] = set()
        self._taken: dict[str, Spec] = {}
        self._providers: dict[str, Mapping[str, Any]] = {}

    def take(self, metadata: Mapping[str, Any]) -> None:
        urn = metadata["urn"]
        name = self._name(urn)
        new = metadata.get("new") or metadata.get("old") or {}
        if is_provider_type(urn_type(urn)):
            self._providers[urn] = new.get("inputs") or {}
        if metadata["op"] != "create" or metadata["type"] == STACK_TYPE:
            return
        self._created.add(urn)
        if not is_provider_type(urn_type(urn)):
            self._add(urn, name, new)

    def _name(self, urn: str) -> str:
        name = urn_name(urn)
        other = self._taken.get(name)
        if other is not None and other.logical_name:
            # It was only called so to be unique: whose name it really is comes first.
            other.name = unique_name(other.logical_name, other.type, self._taken)
            for spec in self.file.specs:
                if spec.parent == name:
                    spec.parent = other.name
            self._taken[other.name] = other
            self._names = {u: other.name if n == name else n for u, n in self._names.items()}
            if name in self.file.names:
                self.file.names[other.name] = self.file.names.pop(name)
        elif other is not None:
            name = unique_name(name, urn_type(urn), self._taken)
        self._names[urn] = name
        return name

    def _add(self, urn: str, name: str, new: Mapping[str, Any]) -> None:
        custom = bool(new.get("custom"))
        spec = Spec(
            type=new["type"],
            name=name,
            id=PLACEHOLDER if custom else "",
            component=not custom,
            remote=not custom and bool(new.get("provider")),
            logical_name=urn_name(urn) if urn_name(urn) != name else "",
        )
        parent = new.get("parent") or ""
        if parent and qualified_type(parent) != STACK_TYPE:
            spec.parent = self._names[parent]
            if parent not in self._created:
                self.file.names[spec.parent] = parent
        if new.get("provider"):
            self._add_provider(urn, spec, new["provider"])
        self._taken[name] = spec
        self.file.specs.append(spec)

    def _add_provider(self, urn: str, spec: Spec, reference: str) -> None:
        provider, _ = split_provider_ref(reference)
        if not urn_name(provider).startswith("default"):
            if provider in self._created:
                raise UsageError(f'cannot import resource "{urn}" with a new explicit provider "{provider}"')
            spec.provider = self._names[provider]
            self.file.names[spec.provider] = provider
        inputs = self._providers.get(provider, {})
        spec.version = str(inputs.get("version") or "")
        spec.plugin_download_url = str(inputs.get("pluginDownloadURL") or "")


def of_preview(events: Iterable[Event]) -> ImportFile:
    """An entry for every resource that a preview would create, ids left open.

    Raises UsageError for a resource whose own provider is to be created too: that cannot be imported.
    """
    builder = _Builder()
    for event in events:
        if "resourcePreEvent" in event:
            builder.take(event["resourcePreEvent"]["metadata"])
    return builder.file
