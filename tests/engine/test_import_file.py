"""The file of `pulumi import`: names become URNs, and what cannot be said by them is told in full."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.errors import UsageError
from engine.import_file import inline, loads, of_preview, resolve

T = "fake:index:Bucket"
G = "fake:index:Group"
ROOT = "urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev"


def urn(name: str, type_: str = T) -> str:
    return f"urn:pulumi:dev::proj::{type_}::{name}"


def resolved(*resources: dict[str, Any], names: dict[str, str] | None = None) -> Any:
    text = json.dumps({"resources": resources, "nameTable": names})
    return resolve(loads(text), stack="dev", project="proj", protect=True)


def refused(*resources: dict[str, Any], names: dict[str, str] | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        resolved(*resources, names=names)
    return str(caught.value)


def entry(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"type": T, "name": name, "id": f"{name}-1", **more}


# ------------------------------------------------------------------ what it says


def test_a_resource_by_type_name_and_id() -> None:
    found = resolved(entry())
    (wanted,) = found.imports
    assert (wanted.type, wanted.name, wanted.id, wanted.protect, wanted.parent) == (T, "a", "a-1", True, "")
    assert found.names == {urn("a"): "a"}


def test_everything_that_an_entry_can_hold() -> None:
    (wanted,) = resolved(
        entry(
            provider="p",
            parent="g",
            version="v1.2.3",
            pluginDownloadUrl="u",
            properties=["size"],
            logicalName="A",
            component=False,
        ),
        names={"p": urn("p", "pulumi:providers:fake"), "g": urn("g", G)},
    ).imports
    assert (wanted.name, wanted.version, wanted.download_url, wanted.properties) == ("A", "1.2.3", "u", ("size",))
    assert (wanted.parent, wanted.provider) == (urn("g", G), urn("p", "pulumi:providers:fake"))


def test_a_name_and_a_logical_name_stand_for_each_other() -> None:
    found = resolved({"type": T, "id": "1", "logicalName": "x"}, entry("y", logicalName="z"))
    assert [wanted.name for wanted in found.imports] == ["x", "z"]
    assert found.names == {urn("x"): "x", urn("z"): "y"}


def test_parents_among_the_resources_in_any_order() -> None:
    found = resolved(
        entry("leaf", parent="mid"),
        {"type": G, "name": "mid", "component": True, "parent": "top"},
        {"type": G, "name": "top", "component": True},
    )
    assert [wanted.parent for wanted in found.imports] == [urn("mid", f"{G}${G}"), urn("top", G), ""]


def test_names_in_the_program_are_told_apart() -> None:
    found = resolved(entry("a"), {"type": "fake:index:Crate", "name": "a", "id": "2"})
    assert found.names == {urn("a"): "a", urn("a", "fake:index:Crate"): "aCrate"}


def test_null_is_as_if_it_were_not_there() -> None:
    assert resolved(entry(parent=None, component=None)).imports[0].parent == ""


# ------------------------------------------------------------------ what it cannot say


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        ({"name": "a", "id": "1"}, "resource 'a' has no type"),
        ({"type": T, "id": "1"}, f"resource '1' of type '{T}' has no name"),
        ({"type": T, "name": "a"}, f"resource 'a' of type '{T}' has no ID"),
        ({"type": G, "name": "g", "id": "1", "component": True}, "has an ID, but is marked as a component"),
        (entry(remote=True), "is marked as remote, but not as a component"),
        (entry(parent="g"), f"the parent 'g' for resource 'a' of type '{T}' has no entry in 'nameTable'"),
        (entry(provider="p"), f"the provider 'p' for resource 'a' of type '{T}' has no entry in 'nameTable'"),
        (entry(parent="a"), "the parents of 'a' are their own children"),
        (entry(id="<PLACEHOLDER>"), "write the object's own there"),
        (entry(type="fake:Bucket"), 'import type "fake:Bucket" is not a valid resource type token'),
        (entry(size=1), "resource 0: 'size' is not understood"),
        (entry(component="yes"), "resource 0: 'component' is of the wrong kind"),
        (entry(properties="size"), "resource 0: 'properties' is of the wrong kind"),
    ],
)
def test_what_is_wrong_with_an_entry(resource: dict[str, Any], message: str) -> None:
    assert message in refused(resource)


def test_all_that_is_wrong_is_told_at_once() -> None:
    message = refused({"type": T}, {"id": "1"})
    assert message.startswith("4 errors occurred:")
    assert "resource 0 of type" in message


def test_two_entries_of_one_name_can_be_no_parent() -> None:
    names = [{"type": G, "name": "g", "component": True}, {"type": f"{G}2", "name": "g", "component": True}]
    assert "has an ambiguous parent" in refused(*names, entry(parent="g"))


def test_two_entries_of_one_urn() -> None:
    assert "has an ambiguous URN, set name (or logical name) to be unique" in refused(entry(), entry(id="2"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "it is not JSON"),
        ("[]", "it is not an object"),
        ('{"resources": {}}', "'resources' is not a list"),
        ('{"resources": [1]}', "resource 0 is not an object"),
        ('{"nameTable": [1]}', "'nameTable' is not an object"),
        ('{"providerInputs": {"p": {}}}', "'providerInputs' of an import file is not served"),
    ],
)
def test_what_is_no_import_file(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        loads(text)


# ------------------------------------------------------------------ on the command line


def test_one_resource_on_the_command_line() -> None:
    provider = urn("p", "pulumi:providers:fake")
    file = inline((T, "a", "1"), properties=("size",), parent=f"g={urn('g', G)}", provider=provider)
    (wanted,) = resolve(file, stack="dev", project="proj", protect=False).imports
    assert (wanted.parent, wanted.provider, wanted.properties) == (urn("g", G), provider, ("size",))
    assert file.names == {"g": urn("g", G), "provider": provider}


@pytest.mark.parametrize(
    ("parent", "provider", "message"),
    [
        ("nothing", "", "invalid parent URN: 'nothing'"),
        ("g=nothing", "", "invalid parent URN: 'nothing'"),
        ("", "p=", "invalid provider URN: ''"),
        (f"x={urn('g', G)}", f"x={urn('p', 'pulumi:providers:fake')}", "must have distinct names, both were 'x'"),
        ("", f"p={urn('p', 'pulumi:providers:fake')}::id", "expected a URN but got a Provider Reference"),
    ],
)
def test_what_a_parent_or_a_provider_cannot_be(parent: str, provider: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        inline((T, "a", "1"), properties=(), parent=parent, provider=provider)


# ------------------------------------------------------------------ from a preview


def pre(op: str, type_: str, name: str, *, parent: str = ROOT, prefix: str = "", **more: Any) -> dict[str, Any]:
    new = {"type": type_, "urn": urn(name, prefix + type_), "custom": True, "parent": parent, "inputs": {}, **more}
    return {"resourcePreEvent": {"metadata": {"op": op, "urn": new["urn"], "type": type_, "new": new}}}


def default(**inputs: str) -> dict[str, Any]:
    return pre("create", "pulumi:providers:fake", "default_1", parent="", inputs=inputs)


DEFAULT = urn("default_1", "pulumi:providers:fake") + "::id"


def test_a_file_of_what_a_preview_would_create() -> None:
    group = urn("g", G)
    file = of_preview(
        [
            pre("create", "pulumi:pulumi:Stack", "proj-dev", parent="", custom=False),
            default(version="1.0.0", pluginDownloadURL="u"),
            pre("same", "fake:index:Old", "old", provider=DEFAULT),
            pre("create", G, "g", custom=False),
            pre("create", T, "a", parent=group, prefix=f"{G}$", provider=DEFAULT),
            pre("create", T, "b", parent=urn("old", "fake:index:Old"), prefix="fake:index:Old$", provider=DEFAULT),
            pre("update", T, "c", provider=DEFAULT),
        ]
    )
    assert json.loads(file.dumps()) == {
        "nameTable": {"old": urn("old", "fake:index:Old")},
        "resources": [
            {"type": G, "name": "g", "component": True},
            {
                "type": T,
                "name": "a",
                "id": "<PLACEHOLDER>",
                "parent": "g",
                "version": "1.0.0",
                "pluginDownloadUrl": "u",
            },
            {
                "type": T,
                "name": "b",
                "id": "<PLACEHOLDER>",
                "parent": "old",
                "version": "1.0.0",
                "pluginDownloadUrl": "u",
            },
        ],
    }


def test_names_in_the_file_are_unique() -> None:
    file = of_preview(
        [
            pre("create", T, "a"),
            pre("create", "fake:index:Crate", "a"),
            pre("create", "fake:index:Crate", "aCrate"),
        ]
    )
    assert [(s.name, s.logical_name) for s in file.specs] == [("a", ""), ("aCrate2", "a"), ("aCrate", "")]


def test_an_explicit_provider_that_is_there_is_in_the_name_table() -> None:
    provider = urn("p", "pulumi:providers:fake")
    events = [pre("same", "pulumi:providers:fake", "p", parent=""), pre("create", T, "a", provider=f"{provider}::id")]
    file = of_preview(events)
    assert file.names == {"p": provider}
    assert file.specs[0].provider == "p"
    events[0]["resourcePreEvent"]["metadata"]["op"] = "create"
    with pytest.raises(UsageError, match="with a new explicit provider"):
        of_preview(events)


def test_what_a_preview_writes_can_be_imported_once_the_ids_are_in() -> None:
    file = of_preview([default(), pre("create", T, "a", provider=DEFAULT), pre("create", G, "g", custom=False)])
    again = loads(file.dumps().replace("<PLACEHOLDER>", "a-1"))
    found = resolve(again, stack="dev", project="proj", protect=True)
    assert [(wanted.name, wanted.id, wanted.component) for wanted in found.imports] == [
        ("a", "a-1", False),
        ("g", "", True),
    ]
