"""A manifest is accepted whole, or refused with every problem, each told by field, given value and valid values."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.fields import check_email, check_phone, check_postal_code, check_slug, check_text
from stacks.manifest import CabinetManifest, ManifestError, load_manifest, parse_manifest
from stacks.problems import FieldProblem
from stacks.yaml_source import MAX_BYTES, parse_yaml

ROOT = Path(__file__).resolve().parents[2]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=12), children, max_size=4),
    max_leaves=12,
)


def problems_of(data: Any, **options: Any) -> dict[str, Any]:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(data, "acme.yaml", **options)
    return {problem.field: problem for problem in caught.value.problems}


def test_accepts_a_minimal_manifest_with_its_defaults(manifest_data: dict[str, Any]) -> None:
    manifest = parse_manifest(manifest_data)
    assert manifest.enable_rollback is True
    assert manifest.skip_database_creation is False
    assert manifest.template_version is None
    assert parse_manifest(manifest.to_dict()) == manifest


def test_normalises_phone_country_and_email(manifest_data: dict[str, Any]) -> None:
    manifest_data |= {"phone": "0041 (0)22 555.01-42", "email": " Contact@ACME.Example "}
    manifest_data["address"] |= {"country": "ch", "postalCode": 1207}
    manifest = parse_manifest(manifest_data)
    assert manifest.phone == "+41225550142"
    assert manifest.email == "Contact@acme.example"
    assert (manifest.address.country, manifest.address.postal_code) == ("CH", "1207")


@pytest.mark.parametrize(
    "name",
    [
        "Cabinet dentaire de l'Étoile",
        'Dr. "Zahn" & Söhne',
        "歯科クリニック",
        "عيادة الأسنان",
        "מרפאת שיניים",
        "Зубная клиника",
        "दंत चिकित्सालय",
        "🦷👨‍👩‍👧 Family",
        "Robert'); DROP TABLE cabinets;--",
        "$(rm -rf /) `id` %s {0} ${x}",
        "back\\slash",
        "x",
        "é" * 200,
    ],
)
def test_accepts_names_in_any_script(manifest_data: dict[str, Any], name: str) -> None:
    assert parse_manifest(manifest_data | {"name": name}).name == name


@pytest.mark.parametrize(
    "name", ["", "   ", "a\nb", "a\x00b", "a\x1b[31m", "\u2028", "x" * 201, "\u200b", "\ud800", 5, None, []]
)
def test_refuses_names_that_cannot_be_shown(manifest_data: dict[str, Any], name: Any) -> None:
    problem = problems_of(manifest_data | {"name": name})["name"]
    assert "1 to 200 characters" in problem.valid
    assert problem.given.isprintable()


@pytest.mark.parametrize("slug", ["abc", "a-b", "cabinet-rive-2", "a" * 40])
def test_accepts_slugs(slug: str) -> None:
    assert check_slug(slug) == slug


@pytest.mark.parametrize(
    "slug", ["", "ab", "a" * 41, "Abc", "1abc", "-abc", "abc-", "a_b_c", "a.bc", "abc\n", "àbc", "a b c", None, 7]
)
def test_refuses_slugs(manifest_data: dict[str, Any], slug: Any) -> None:
    assert "3 to 40 characters" in problems_of(manifest_data | {"slug": slug})["slug"].valid


def test_refuses_a_slug_that_is_not_the_stack(manifest_data: dict[str, Any]) -> None:
    problem = problems_of(manifest_data, stack="acme-2")["slug"]
    assert problem.suggestion == "acme-2"
    assert parse_manifest(manifest_data, stack="acme").slug == "acme"


@pytest.mark.parametrize(
    ("country", "good", "bad"),
    [
        ("CH", "1207", "12070"),
        ("DE", "01067", "1067"),
        ("FR", "74500", "7450A"),
        ("AT", "1010", "A-1010"),
        ("GB", "SW1A 1AA", "SW1A"),
        ("US", "94103-1234", "9410"),
        ("CA", "K1A 0B1", "D1A 0B1"),
        ("NL", "1012 AB", "0012 AB"),
        ("PL", "00-950", "00950"),
        ("PT", "1000-205", "1000"),
        ("SE", "114 55", "1145"),
        ("IE", "D02 AF30", "D2 AF30"),
        ("JP", "100-0001", "100-001"),
        ("BR", "01310-100", "0131"),
        ("IN", "110001", "010001"),
        ("AU", "2000", "200"),
        ("PA", "0801", "x" * 13),
    ],
)
def test_checks_postal_codes_by_country(country: str, good: str, bad: str) -> None:
    assert check_postal_code(good.lower(), country) == good
    with pytest.raises(ValueError, match=r"postal code"):
        check_postal_code(bad, country)


@pytest.mark.parametrize(
    "phone",
    ["022 555 01 42", "+0225550142", "+41", "+4122555014212345", "call me", "+41 22 555 ext 3", 41225550142, None],
)
def test_refuses_phone_numbers(manifest_data: dict[str, Any], phone: Any) -> None:
    assert "+41 22 555 01 42" in problems_of(manifest_data | {"phone": phone})["phone"].valid


@pytest.mark.parametrize(
    "email",
    [
        "",
        "acme",
        "@acme.example",
        "a@",
        "a@b",
        "a b@acme.example",
        "a@acme..example",
        "a@-acme.example",
        "a@acme.example\n.x",
        "a@1.2.3.4",
        "a" * 65 + "@acme.example",
        3,
    ],
)
def test_refuses_email_addresses(manifest_data: dict[str, Any], email: Any) -> None:
    assert "e-mail address" in problems_of(manifest_data | {"email": email})["email"].valid


@pytest.mark.parametrize(
    "email", ["a@b.ch", "o'neil+x@sub.acme.example", "zoë@zähne.example", "A.B@xn--zhne-1ra.example"]
)
def test_accepts_email_addresses(email: str) -> None:
    assert "@" in check_email(email)


def test_reports_all_problems_at_once_with_suggestions() -> None:
    found = problems_of(
        {
            "kind": "cabinett",
            "nmae": "x",
            "slug": "A",
            "address": {"country": "Switzerland", "street": "", "postcode": "1207"},
            "phone": "1",
            "email": "x",
            "templateId": "no such",
            "enableRollback": "yes",
            "customSettings": {"timezone": "Europe/Zurih", "branding": {"primaryColour": "#fff", "accentColor": "red"}},
        }
    )
    assert set(found) == {
        "kind",
        "name",
        "nmae",
        "slug",
        "address.country",
        "address.street",
        "address.city",
        "address.postalCode",
        "address.postcode",
        "phone",
        "email",
        "templateId",
        "enableRollback",
        "customSettings.timezone",
        "customSettings.branding.primaryColour",
        "customSettings.branding.accentColor",
    }
    assert found["nmae"].suggestion == "name"
    assert found["address.postcode"].suggestion == "postalCode"
    assert found["kind"].suggestion == "cabinet"
    assert found["customSettings.timezone"].suggestion == "Europe/Zurich"
    assert found["customSettings.branding.primaryColour"].suggestion == "primaryColor"
    assert found["enableRollback"].valid == "true or false"
    assert found["address.country"].given == '"Switzerland"'


@pytest.mark.parametrize(
    ("change", "field", "valid"),
    [
        ({"address": "Geneva"}, "address", "a mapping of keys to values"),
        ({"customSettings": ["x"]}, "customSettings", "a mapping of keys to values"),
        ({"customSettings": {"booking": {"advanceDays": 731}}}, "customSettings.booking.advanceDays", "730 or less"),
        ({"customSettings": {"booking": {"advanceDays": -1}}}, "customSettings.booking.advanceDays", "1 or more"),
        ({"customSettings": {"booking": {"advanceDays": 1.5}}}, "customSettings.booking.advanceDays", "a whole number"),
        ({"customSettings": {"workingHours": {"monday": "8-18"}}}, "customSettings.workingHours.monday", "a list"),
        ({"customSettings": {"timezone": "posix/Europe/Zurich"}}, "customSettings.timezone", "IANA time zone"),
        ({"customSettings": {"timezone": "Europe"}}, "customSettings.timezone", "IANA time zone"),
        ({"customSettings": {"timezone": 1}}, "customSettings.timezone", "IANA time zone"),
        ({"templateVersion": "1"}, "templateVersion", "semantic version"),
        ({"templateId": ""}, "templateId", "2 to 50 characters"),
        ({"name": {1, 2}}, "name", "1 to 200 characters"),
    ],
)
def test_each_kind_of_problem_says_what_is_valid(
    manifest_data: dict[str, Any], change: Any, field: str, valid: str
) -> None:
    found = problems_of(manifest_data | change)
    assert list(found) == [field]
    assert valid in found[field].valid


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_what_is_no_mapping_is_no_manifest(value: Any) -> None:
    assert problems_of(value)["manifest"].valid == "a mapping of keys to values"


def test_the_error_reads_well(manifest_data: dict[str, Any]) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(manifest_data | {"phnoe": 1}, "stacks/acme.yaml")
    text = str(caught.value)
    assert text.startswith(
        "stacks/acme.yaml: this manifest has 1 problem:\n  phnoe: given an unknown key with the value 1;"
    )
    assert text.endswith("Did you mean phone?")
    assert json.loads(json.dumps(caught.value.to_dict()))["problems"][0]["suggestion"] == "phone"


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ({"brandng": {}}, "customSettings.brandng"),
        ({"branding": "red"}, "customSettings.branding"),
        ({"branding": {"primaryColor": "#12345"}}, "customSettings.branding.primaryColor"),
        ({"branding": {"logoUrl": "http://x.example/logo.png"}}, "customSettings.branding.logoUrl"),
        ({"workingHours": {"mnday": []}}, "customSettings.workingHours.mnday"),
        ({"workingHours": {"monday": [{"open": "18:00", "close": "08:00"}]}}, "customSettings.workingHours.monday[0]"),
        ({"workingHours": {"monday": [{"open": "8", "close": "18:00"}]}}, "customSettings.workingHours.monday[0].open"),
        ({"workingHours": {"monday": [{"open": "08:00"}]}}, "customSettings.workingHours.monday[0].close"),
        (
            {"workingHours": {"monday": [{"open": "08:00", "close": "12:00"}, {"open": "11:00", "close": "13:00"}]}},
            "customSettings.workingHours.monday",
        ),
        ({"booking": {"advanceDays": 0}}, "customSettings.booking.advanceDays"),
        ({"booking": {"advanceDays": "30"}}, "customSettings.booking.advanceDays"),
        ({"booking": {"advanceDays": True}}, "customSettings.booking.advanceDays"),
        ({"booking": {"cancellation": {"noticeHour": 1}}}, "customSettings.booking.cancellation.noticeHour"),
        (
            {"notifications": {"reminders": [{"channel": "fax", "hoursBefore": 1}]}},
            "customSettings.notifications.reminders[0].channel",
        ),
        (
            {"appointments": {"types": [{"code": "x", "title": "", "minutes": 5}]}},
            "customSettings.appointments.types[0].title",
        ),
        ({"locale": "french"}, "customSettings.locale"),
        ({"timezone": None}, "customSettings.timezone"),
    ],
)
def test_refuses_overrides_that_the_settings_do_not_know(
    manifest_data: dict[str, Any], override: Any, field: str
) -> None:
    assert set(problems_of(manifest_data | {"customSettings": override})) == {field}


def attempt(data: Any) -> tuple[tuple[FieldProblem, ...], CabinetManifest | None]:
    """The problems, or the manifest."""
    try:
        return (), parse_manifest(data)
    except ManifestError as error:
        return error.problems, None


@given(ANY_JSON)
def test_anything_is_accepted_or_refused_with_problems(value: Any) -> None:
    # No random value is a whole manifest.
    with pytest.raises(ManifestError) as caught:
        parse_manifest(value)
    assert caught.value.problems
    assert all(problem.valid and problem.given.isprintable() for problem in caught.value.problems)
    json.dumps(caught.value.to_dict())


@given(
    field=st.sampled_from(["name", "slug", "address", "phone", "email", "customSettings", "templateVersion", "kind"]),
    value=ANY_JSON,
)
def test_a_random_value_in_one_field_is_blamed_on_that_field(field: str, value: Any) -> None:
    data: dict[str, Any] = {
        "kind": "cabinet",
        "name": "A",
        "slug": "acme",
        "address": {"street": "1", "city": "G", "postalCode": "1207", "country": "CH"},
        "phone": "+41225550142",
        "email": "a@b.example",
        "templateId": "default-dental",
        field: value,
    }
    problems, manifest = attempt(data)
    assert all(problem.field.startswith(field) for problem in problems)
    assert manifest is None or parse_manifest(manifest.to_dict()) == manifest


@given(st.text(max_size=250))
def test_text_is_idempotent(text: str) -> None:
    try:
        once = check_text(text, longest=200)
    except ValueError:
        return
    assert check_text(once, longest=200) == once
    assert 1 <= len(once) <= 200


@given(st.from_regex(r"\+[1-9][0-9 ./()-]{6,18}", fullmatch=True))
def test_phone_numbers_are_idempotent(text: str) -> None:
    try:
        once = check_phone(text)
    except ValueError:
        return
    assert check_phone(once) == once
    assert once[1:].isdigit()


class TestFiles:
    def refused(self, path: Path) -> str:
        with pytest.raises(ManifestError) as caught:
            load_manifest(path)
        return str(caught.value)

    def test_the_demo_manifests_are_valid(self) -> None:
        manifests = [
            load_manifest(path, stack=path.stem)
            for path in sorted((ROOT / "stacks").glob("*.yaml"))
            if path.name[0] != "P"
        ]
        assert {manifest.template_id for manifest in manifests} >= {"default-dental", "orthodontics", "pediatric"}
        assert all(not manifest.name.isascii() for manifest in manifests)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("kind: cabinet\n  name: x", "line 2, column 7"),
            ("name: 'x", "line 1, column 9"),
            ("name: x\nname: y", "line 2, column 1"),
            ("a: \tb: c", "line 1"),
            ("name: \x07", "#x0007"),
            ("", "an empty file"),
            ("- a", "a list"),
            ("just text", "a str"),
            ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
            ("? [a]\n: b", "a key must be one word"),
            ("a: &x [*x]", "levels"),
            ("a: *nowhere", "undefined alias"),
            ("{a: b}\n---\n{c: d}", "expected a single document"),
        ],
    )
    def test_unreadable_yaml_names_the_place(self, tmp_path: Path, text: str, expected: str) -> None:
        path = tmp_path / "acme.yaml"
        path.write_text(text, encoding="utf-8")
        assert expected in self.refused(path)

    def test_a_file_of_aliases_is_not_expanded_for_ever(self, tmp_path: Path) -> None:
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
        path = tmp_path / "acme.yaml"
        path.write_text("\n".join(lines), encoding="utf-8")
        assert "more than 20000 values" in self.refused(path)

    def test_plain_words_keep_their_meaning(self, tmp_path: Path, manifest_data: dict[str, Any]) -> None:
        path = tmp_path / "acme.yaml"
        path.write_text(
            "kind: cabinet\nname: no\nslug: acme\n"
            "address: {street: 1 Gate, city: Oslo, postalCode: 0155, country: NO}\n"
            "phone: +4722555014\nemail: a@b.example\ntemplateId: default-dental\n"
            "customSettings: {workingHours: {monday: [{open: 8:00, close: 18:00}]}}\n",
            encoding="utf-8",
        )
        manifest = load_manifest(path)
        assert (manifest.name, manifest.address.country, manifest.address.postal_code) == ("no", "NO", "0155")
        assert manifest.custom_settings["workingHours"]["monday"][0]["close"] == "18:00"

    def test_faults_of_the_file(self, tmp_path: Path) -> None:
        assert "No such file" in self.refused(tmp_path / "none.yaml")
        assert "Is a directory" in self.refused(tmp_path)
        path = tmp_path / "acme.yaml"
        path.write_bytes(b"name: \xff")
        assert "not UTF-8" in self.refused(path)
        path.write_bytes(b"#" * (MAX_BYTES + 1))
        assert "at most" in self.refused(path)
        path.write_bytes(b"\xef\xbb\xbfkind: cabinet")
        assert "slug" in self.refused(path)

    @given(st.text(max_size=200))
    def test_any_text_is_yaml_or_an_error_of_ours(self, text: str) -> None:
        problems: list[int] = []
        try:
            assert isinstance(parse_yaml(text, "x", ManifestError), dict)
        except ManifestError as error:
            problems.append(len(error.problems))
        assert problems in ([], [1])
