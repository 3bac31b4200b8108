"""A form made from a schema: which fields there are, what it reads, and where a problem stands."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web.fields import Choice, Field, Widget, fields_of, label_of, words
from service.web.filled import Problem, placed, read, read_value, shown
from service.web.yaml_text import dump, text_of
from stacks.lines import LINES
from stacks.manifest import ManifestError
from stacks.templates import TemplateStore

# As another line's schema might be: references, nesting, numbers, a choice, lists, free mappings, itself.
WORKSPACE: dict[str, Any] = {
    "type": "object",
    "$defs": {
        "Place": {
            "title": "Place",
            "type": "object",
            "properties": {"city": {"type": "string"}, "room": {"anyOf": [{"$ref": "#/$defs/Room"}, {"type": "null"}]}},
            "required": ["city"],
        },
        "Room": {"type": "object", "properties": {"floor": {"type": "integer", "minimum": 0, "maximum": 9}}},
        "Tree": {"type": "object", "properties": {"below": {"$ref": "#/$defs/Tree"}}},
    },
    "properties": {
        "kind": {"const": "workspace"},
        "adminEmail": {"type": "string", "format": "email", "title": "Adminemail"},
        "category": {"enum": ["retail", "food_and_drink"], "default": "retail"},
        "place": {"$ref": "#/$defs/Place", "description": "where it is"},
        "share": {"type": "number"},
        "demo": {"type": "boolean", "default": False},
        "online": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "tree": {"$ref": "#/$defs/Tree"},
        "country_code": {"type": "string", "title": "Country of the till"},
    },
    "required": ["kind", "adminEmail", "place"],
}


def by_path(fields: tuple[Field, ...]) -> dict[str, Field]:
    return {leaf.path: leaf for field in fields for leaf in field.leaves}


@pytest.mark.parametrize(
    ("path", "widget"),
    [
        ("kind", Widget.HIDDEN),
        ("adminEmail", Widget.TEXT),
        ("category", Widget.CHOICE),
        ("place.city", Widget.TEXT),
        ("place.room.floor", Widget.NUMBER),
        ("share", Widget.NUMBER),
        ("demo", Widget.SWITCH),
        ("online", Widget.ANSWER),
        ("tags", Widget.YAML),
        ("labels", Widget.YAML),
    ],
)
def test_each_kind_of_schema_has_its_way_of_being_entered(path: str, widget: Widget) -> None:
    assert by_path(fields_of(WORKSPACE))[path].widget is widget


def test_a_schema_that_contains_itself_ends_in_yaml() -> None:
    deep = [field for field in by_path(fields_of(WORKSPACE)).values() if field.path.startswith("tree")]
    assert [field.widget for field in deep] == [Widget.YAML]


def test_names_requirements_and_help_come_from_the_schema() -> None:
    fields = by_path(fields_of(WORKSPACE, choices={"country_code": [Choice(value="KE", label="Kenya")]}))
    assert (fields["adminEmail"].label, fields["adminEmail"].input_type) == ("Admin email", "email")
    assert fields["country_code"].label == "Country of the till"
    assert fields["country_code"].widget is Widget.CHOICE
    assert fields["place.city"].required
    assert not fields["share"].required
    assert fields["place.room.floor"].help == "From 0 to 9."
    assert [choice.label for choice in fields["category"].choices] == ["Retail", "Food and drink"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [("postalCode", "Postal code"), ("templateId", "Template"), ("logoUrl", "Logo URL"), ("id", "ID"), ("sms", "SMS")],
)
def test_keys_become_words(key: str, expected: str) -> None:
    assert words(key) == expected
    assert label_of(key, key.title()) == expected


def test_a_form_is_read_as_the_manifest_it_means() -> None:
    form = {
        "adminEmail": "a@b.example",
        "place.city": "Nairobi",
        "place.room.floor": "3",
        "share": "0.5",
        "demo": "true",
        "online": "false",
        "tags": "- a\n- NO",
        "labels": "a: b",
        "unknown": "ignored",
    }
    reading = read(fields_of(WORKSPACE), form)
    assert reading.problems == ()
    assert reading.manifest == {
        "kind": "workspace",
        "adminEmail": "a@b.example",
        "place": {"city": "Nairobi", "room": {"floor": 3}},
        "share": 0.5,
        "demo": True,
        "online": False,
        "tags": ["a", "NO"],
        "labels": {"a": "b"},
    }


def test_what_is_empty_is_left_out_and_a_switch_always_says_something() -> None:
    form = {"place.city": "  ", "tags": "\n"}
    # The group that is required stays, so that each field missing in it is told by itself.
    assert read(fields_of(WORKSPACE), form).manifest == {"kind": "workspace", "demo": False, "place": {}}


def test_what_is_no_number_stays_as_it_was_written() -> None:
    assert read(fields_of(WORKSPACE), {"share": "a half"}).manifest["share"] == "a half"


@pytest.mark.parametrize(
    ("text", "line"),
    [("- [a", "line 1, "), ("- a\n- {b", "line 2, "), ("a: b\n- c", "line 2, "), ("*a", "line 1,")],
)
def test_yaml_that_is_none_is_told_with_its_own_line(text: str, line: str) -> None:
    reading = read(fields_of(WORKSPACE), {"tags": text})
    assert [problem.field for problem in reading.problems] == ["tags"]
    assert line in reading.problems[0].message


def test_yaml_cannot_escape_its_field_or_grow_without_end() -> None:
    for text in ("a\nother: 1", "---\nother: 1"):
        with pytest.raises(ManifestError):
            read_value(text)
    bomb = "- &a [x,x,x,x,x,x,x,x,x,x]\n" + "\n".join(
        f"- &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 10)}]" for i in range(8)
    )
    with pytest.raises(ManifestError):
        read_value(bomb)


def cabinet_fields() -> tuple[Field, ...]:
    template = TemplateStore().get("default-dental")
    return fields_of(LINES["cabinet"].schema(), inherited={"customSettings": template.settings})


def test_a_cabinet_shows_what_the_template_says_and_says_nothing_by_itself(manifest_data: dict[str, Any]) -> None:
    fields = by_path(cabinet_fields())
    assert fields["customSettings.booking.advanceDays"].inherited == "30"
    assert fields["customSettings.booking.online"].widget is Widget.ANSWER
    assert fields["customSettings.notifications.sms.enabled"].label == "Enabled"
    reading = read(cabinet_fields(), shown(cabinet_fields(), manifest_data))
    assert reading.manifest == {**manifest_data, "skipDatabaseCreation": False, "enableRollback": True}
    assert LINES["cabinet"].parse(reading.manifest).slug == manifest_data["slug"]


def test_every_override_of_a_cabinet_survives_the_form(manifest_data: dict[str, Any]) -> None:
    for template in TemplateStore().latest():
        full = {**manifest_data, "customSettings": json.loads(json.dumps(template.settings))}
        parsed = LINES["cabinet"].parse(full)
        reading = read(cabinet_fields(), shown(cabinet_fields(), parsed.to_dict()))
        again = LINES["cabinet"].parse(reading.manifest)
        # null over null, and nothing over nothing, are what the template says anyway.
        assert text_of(_without_nothing(again.to_dict())) == text_of(_without_nothing(parsed.to_dict()))


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nothing(one) for key, one in value.items() if one not in (None, {})}
    return value


def test_problems_stand_beside_the_field_they_belong_to() -> None:
    found = placed(
        cabinet_fields(),
        [
            Problem(field="phone", message="p"),
            Problem(field="name", message="n"),
            Problem(field="customSettings.workingHours.monday[0].open", message="o"),
            Problem(field="customSettings.colour", message="c"),
            Problem(field="kind", message="k"),
            Problem(field="elsewhere", message="e"),
        ],
    )
    assert found.beside["customSettings.workingHours.monday"] == ("[0].open: o",)
    assert found.beside["customSettings"] == ("colour: c",)
    assert [problem.field for problem in found.others] == ["kind", "elsewhere"]
    assert [label for _, label, _ in found.links] == ["kind", "elsewhere", "Name", "Phone", "Custom settings", "Monday"]


texts = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]))
keys = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_the_form_shows_as_yaml_reads_back_as_the_same(value: Any) -> None:
    assert read_value(dump(value)) == value


@given(st.dictionaries(st.sampled_from(sorted(by_path(cabinet_fields()))), st.text()))
def test_no_text_in_a_form_is_a_crash(form: dict[str, str]) -> None:
    fields = cabinet_fields()
    reading = read(fields, form)
    placed(fields, reading.problems)
    shown(fields, reading.manifest)


def test_large_limits_are_written_out() -> None:
    schema = {"properties": {"size": {"type": "integer", "minimum": 10, "maximum": 1_000_000_000}}}
    assert by_path(fields_of(schema))["size"].help == "From 10 to 1000000000."
