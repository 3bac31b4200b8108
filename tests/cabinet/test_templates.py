"""Templates, their versions, and what becomes of overrides."""

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stacks import catalog
from stacks.lines import LINES
from stacks.manifest import CABINET_SHAPE, ManifestError, parse_manifest
from stacks.merge import deep_merge
from stacks.resolve import resolve, restore
from stacks.settings import Settings
from stacks.shape import Pinned
from stacks.templates import BUILTIN_DIR, TemplateError, TemplateStore
from stacks.versions import newest, ordered

KEYS = st.sampled_from(["a", "b", "c", "d"])
TREES = st.recursive(
    st.dictionaries(KEYS, st.none() | st.integers() | st.lists(st.integers(), max_size=3), max_size=4),
    lambda children: st.dictionaries(KEYS, children | st.integers(), max_size=4),
    max_leaves=10,
)


def template_file(folder: Path, **changes: Any) -> Path:
    content = {
        "id": "evening",
        "version": "1.0.0",
        "line": "cabinet",
        "title": "Evening practice",
        "description": "Open in the evening.",
        "settings": {"appointments": {"slotMinutes": 25}, "extra": {"parking": {"spaces": 2}}},
    }
    path = folder / f"{changes.get('id', 'evening')}.yaml"
    path.write_text(yaml.safe_dump(content | changes, allow_unicode=True), encoding="utf-8")
    return path


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path: Path) -> TemplateStore:
    return TemplateStore([BUILTIN_DIR, tmp_path / "custom"])


class TestBuiltIn:
    def test_there_are_three_and_each_is_complete(self) -> None:
        for template in TemplateStore().list():
            written = yaml.safe_load(Path(template.source).read_text(encoding="utf-8"))["settings"]
            assert written == template.settings, f"{template.id} leaves settings to defaults, which may change"
        assert [template.id for template in TemplateStore().latest()] == ["default-dental", "orthodontics", "pediatric"]

    def test_default_dental_is_as_required(self) -> None:
        settings = TemplateStore().get("default-dental").settings
        for day in ("monday", "tuesday", "wednesday", "thursday", "friday"):
            assert settings["workingHours"][day] == [{"open": "08:00", "close": "18:00"}]
        assert settings["appointments"]["slotMinutes"] == 30
        assert settings["booking"]["advanceDays"] == 30
        assert settings["notifications"]["email"]["enabled"]
        assert settings["notifications"]["sms"]["enabled"]

    def test_orthodontics_is_as_required(self) -> None:
        settings = TemplateStore().get("orthodontics").settings
        assert settings["appointments"]["slotMinutes"] == 45
        assert settings["booking"]["advanceDays"] == 60
        assert settings["booking"]["cancellation"]["noticeHours"] == 48

    def test_pediatric_is_as_required(self) -> None:
        settings = TemplateStore().get("pediatric").settings
        assert settings["appointments"]["slotMinutes"] == 20
        assert settings["booking"]["advanceDays"] == 21
        # Family-friendly: after school, and on Saturdays.
        assert settings["workingHours"]["monday"][-1]["close"] >= "19:00"
        assert settings["workingHours"]["saturday"]


class TestStore:
    def test_an_added_template_is_listed_and_found(self, store: TemplateStore, inbox: Path) -> None:
        added = store.add(template_file(inbox))
        assert not added.builtin
        assert store.get("evening").settings["appointments"]["slotMinutes"] == 25
        assert "evening" in [template.id for template in store.list()]
        assert store.add(template_file(inbox)) == added

    def test_versions_live_side_by_side_and_the_newest_release_is_the_latest(
        self, store: TemplateStore, inbox: Path
    ) -> None:
        for version in ("1.10.0", "1.9.0", "2.0.0-beta.1"):
            store.add(template_file(inbox, version=version, title=f"Evening {version}"))
        assert store.get("evening").version == "1.10.0"
        assert store.get("evening", "2.0.0-beta.1").title == "Evening 2.0.0-beta.1"
        assert [template.version for template in store.list() if template.id == "evening"] == [
            "1.9.0",
            "1.10.0",
            "2.0.0-beta.1",
        ]

    def test_a_published_version_never_changes(self, store: TemplateStore, inbox: Path) -> None:
        first = store.add(template_file(inbox))
        with pytest.raises(TemplateError, match=r"a new version number"):
            store.add(template_file(inbox, settings={}))
        assert store.get("evening") == first

    def test_a_built_in_one_cannot_be_overwritten(self, store: TemplateStore, inbox: Path) -> None:
        with pytest.raises(TemplateError, match=r"built in and cannot be overwritten"):
            store.add(template_file(inbox, id="pediatric", version="9.0.0"))

    def test_a_wrong_file_is_refused_whole(self, store: TemplateStore, inbox: Path, tmp_path: Path) -> None:
        path = template_file(
            inbox, version="1", line="dental", titel="x", settings={"bookng": {}, "timezone": "Mars/Olympus"}
        )
        with pytest.raises(TemplateError) as caught:
            store.add(path)
        assert {problem.field for problem in caught.value.problems} == {
            "version",
            "line",
            "titel",
            "settings.bookng",
            "settings.timezone",
        }
        assert not (tmp_path / "custom").exists()

    def test_settings_that_do_not_fit_together_are_refused(self, store: TemplateStore, inbox: Path) -> None:
        settings = {
            "appointments": {"slotMinutes": 60, "types": [{"code": "x", "title": "X", "minutes": 5}] * 2},
            "workingHours": {"monday": [{"open": "08:00", "close": "08:30"}]},
            "notifications": {"sms": {"enabled": False}, "reminders": [{"channel": "sms", "hoursBefore": 1}]},
            "booking": {"advanceDays": 1, "minimumNoticeHours": 48},
        }
        with pytest.raises(TemplateError) as caught:
            store.add(template_file(inbox, settings=settings))
        assert {problem.field for problem in caught.value.problems} == {
            "settings.appointments.types[1].code",
            "settings.workingHours.monday[0]",
            "settings.notifications.reminders[0].channel",
            "settings.booking.minimumNoticeHours",
        }

    def test_an_unknown_one_names_those_that_exist(self, store: TemplateStore) -> None:
        with pytest.raises(TemplateError, match=r"default-dental, orthodontics, pediatric.*Did you mean orthodontics"):
            store.get("ortodontics")
        with pytest.raises(TemplateError, match=r"templateVersion: given \"3.0.0\"; valid: one of 1.0.0"):
            store.get("orthodontics", "3.0.0")

    def test_a_file_under_a_wrong_name_is_refused(self, store: TemplateStore, inbox: Path, tmp_path: Path) -> None:
        folder = tmp_path / "custom" / "evening"
        folder.mkdir(parents=True)
        template_file(inbox).rename(folder / "2.0.0.yaml")
        with pytest.raises(TemplateError, match=r'version: given "1.0.0"; valid: 2.0.0'):
            store.list()

    def test_a_broken_file_is_no_trouble_for_other_templates(self, store: TemplateStore, tmp_path: Path) -> None:
        (tmp_path / "custom").mkdir()
        (tmp_path / "custom" / "broken.yaml").write_text("id: [", encoding="utf-8")
        assert store.get("pediatric").version == "1.0.0"
        with pytest.raises(TemplateError, match=r"(?s)broken.yaml.*line 1"):
            store.get("broken")
        with pytest.raises(TemplateError, match=r"(?s)broken.yaml.*line 1"):
            store.list()

    def test_the_same_version_in_two_folders_must_be_the_same(self, inbox: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        template_file(inbox)
        template_file(other)
        assert TemplateStore([BUILTIN_DIR, inbox, other]).get("evening").version == "1.0.0"
        template_file(other, settings={})
        with pytest.raises(TemplateError, match=r"with other content than"):
            TemplateStore([BUILTIN_DIR, inbox, other]).get("evening")

    def test_without_a_custom_folder_nothing_is_added(self, inbox: Path) -> None:
        with pytest.raises(TemplateError, match=r"TENANTRY_TEMPLATES"):
            TemplateStore([BUILTIN_DIR]).add(template_file(inbox))

    def test_a_folder_that_cannot_be_written_is_named(self, inbox: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("", encoding="utf-8")
        with pytest.raises(TemplateError, match=r"a folder that can be written"):
            TemplateStore([BUILTIN_DIR, tmp_path / "file" / "custom"]).add(template_file(inbox))

    def test_custom_folders_come_from_the_environment(self, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        template_file(inbox)
        monkeypatch.setenv("TENANTRY_TEMPLATES", str(inbox))
        assert TemplateStore().get("evening").version == "1.0.0"

    def test_other_lines_have_their_folders_among_the_custom_ones(
        self, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One file of a department's template, by its name alone as docs/departments.md has it, and one in a folder."""
        monkeypatch.setenv("TENANTRY_TEMPLATES", str(inbox))
        template_file(inbox)
        departments = inbox / "department"
        departments.mkdir()
        content = {"id": "archive", "version": "1.0.0", "line": "department", "title": "A", "description": "A"}
        (departments / "archive.yaml").write_text(yaml.safe_dump(content | {"settings": {"dataRetention": "10y"}}))
        # The same id in both lines: each has its own.
        (departments / "evening.yaml").write_text(yaml.safe_dump(content | {"id": "evening", "settings": {}}))
        cabinets, others = (LINES[kind].templates() for kind in ("cabinet", "department"))
        assert {one.line for one in cabinets.list()} == {"cabinet"}
        assert "archive" not in cabinets.ids()
        assert {one.id for one in others.list() if not one.builtin} == {"archive", "evening"}
        assert catalog.get([others], "evening").line == "department"
        mine = tmp_path / "mine"
        mine.mkdir()
        with pytest.raises(TemplateError, match=r"another id: department is the folder of another line's templates"):
            cabinets.add(template_file(mine, id="department"))

    def test_no_line_reads_the_folder_of_another(self) -> None:
        shapes = [line.templates().shape for line in LINES.values()]
        for shape in shapes:
            if not shape.custom:
                assert shape.apart == {other.custom for other in shapes} - {""}

    def test_when_many_add_at_once_one_content_wins(self, store: TemplateStore, tmp_path: Path) -> None:
        paths = []
        for number in range(8):
            folder = tmp_path / f"inbox-{number}"
            folder.mkdir()
            paths.append(template_file(folder, title=f"Evening {number}"))

        def add(path: Path) -> str | None:
            try:
                return store.add(path).title
            except TemplateError:
                return None

        with ThreadPoolExecutor(8) as pool:
            titles = [title for title in pool.map(add, paths) if title is not None]
        assert titles == [store.get("evening").title]
        assert [path.name for path in (tmp_path / "custom" / "evening").iterdir()] == ["1.0.0.yaml"]


class TestMerge:
    @given(TREES, TREES)
    def test_is_pure_and_shares_nothing(self, base: dict[str, Any], override: dict[str, Any]) -> None:
        before = deepcopy((base, override))
        merged = deep_merge(base, override)
        _scribble(merged)
        assert (base, override) == before

    @given(TREES)
    def test_nothing_and_itself_change_nothing(self, tree: dict[str, Any]) -> None:
        assert deep_merge(tree, {}) == deep_merge({}, tree) == deep_merge(tree, tree) == tree

    @given(TREES, TREES)
    def test_every_leaf_of_the_override_wins(self, base: dict[str, Any], override: dict[str, Any]) -> None:
        merged = deep_merge(base, override)
        for path, value in _leaves(override):
            assert isinstance(_at(merged, path), dict) if value == {} else _at(merged, path) == value
        for path, value in _leaves(base):
            if not any(path[: len(other)] == other or other[: len(path)] == path for other, _ in _leaves(override)):
                assert _at(merged, path) == value


def _scribble(tree: Any) -> None:
    if isinstance(tree, dict):
        for value in tree.values():
            _scribble(value)
        tree["scribble"] = True
    elif isinstance(tree, list):
        tree.append("scribble")


def _leaves(tree: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, value in tree.items():
        found += _leaves(value, (*path, key)) if isinstance(value, dict) and value else [((*path, key), value)]
    return found


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


class TestResolve:
    def test_pins_the_latest_version_and_merges_deeply(self, manifest_data: dict[str, Any]) -> None:
        manifest_data["customSettings"] = {
            "timezone": "Europe/Paris",
            "branding": {"primaryColor": "#abcdef"},
            "workingHours": {"saturday": [{"open": "9:00", "close": "12:00"}]},
        }
        resolved = resolve(parse_manifest(manifest_data), TemplateStore())
        template = TemplateStore().get("default-dental").settings
        assert resolved.template_version == "1.0.0"
        assert resolved.settings["timezone"] == "Europe/Paris"
        assert resolved.settings["branding"] == template["branding"] | {"primaryColor": "#ABCDEF"}
        assert resolved.settings["workingHours"]["saturday"] == [{"open": "09:00", "close": "12:00"}]
        assert resolved.settings["workingHours"]["monday"] == template["workingHours"]["monday"]

    def test_survives_history(self, manifest_data: dict[str, Any]) -> None:
        resolved = resolve(parse_manifest(manifest_data), TemplateStore())
        assert restore(CABINET_SHAPE, resolved.to_dict()) == resolved

    def test_a_saved_one_that_is_damaged_is_refused(self, manifest_data: dict[str, Any]) -> None:
        saved = resolve(parse_manifest(manifest_data), TemplateStore()).to_dict()
        for damage in ({"format": 2}, {"manifest": None}, {"settings": {"timezone": "x"}}, {"manifest": manifest_data}):
            with pytest.raises(ManifestError):
                restore(CABINET_SHAPE, saved | damage)

    def test_a_tenant_keeps_the_version_it_was_built_from(
        self, manifest_data: dict[str, Any], store: TemplateStore, inbox: Path
    ) -> None:
        for version in ("1.0.0", "1.1.0"):
            store.add(template_file(inbox, version=version))
        manifest = parse_manifest(manifest_data | {"templateId": "evening"})
        assert resolve(manifest, store).template_version == "1.1.0"
        assert resolve(manifest, store, pinned=Pinned(template=("evening", "1.0.0"))).template_version == "1.0.0"
        assert resolve(manifest, store, pinned=Pinned(template=("pediatric", "1.0.0"))).template_version == "1.1.0"
        asked = parse_manifest(manifest_data | {"templateId": "evening", "templateVersion": "1.1.0"})
        assert resolve(asked, store, pinned=Pinned(template=("evening", "1.0.0"))).template_version == "1.1.0"

    def test_an_unknown_template_names_those_that_exist(self, manifest_data: dict[str, Any]) -> None:
        with pytest.raises(
            ManifestError,
            match=r"templateId: given \"pediatrics\"; valid: one of default-dental, orthodontics, pediatric",
        ):
            resolve(parse_manifest(manifest_data | {"templateId": "pediatrics"}), TemplateStore())

    def test_overrides_that_do_not_fit_the_template_are_named(self, manifest_data: dict[str, Any]) -> None:
        manifest_data["customSettings"] = {"notifications": {"sms": {"enabled": False}}}
        with pytest.raises(ManifestError) as caught:
            resolve(parse_manifest(manifest_data), TemplateStore())
        assert [problem.field for problem in caught.value.problems] == [
            "customSettings.notifications.reminders[1].channel"
        ]

    def test_extra_keys_are_those_of_the_template(
        self, manifest_data: dict[str, Any], store: TemplateStore, inbox: Path
    ) -> None:
        store.add(template_file(inbox))
        manifest_data["templateId"] = "evening"
        good = parse_manifest(manifest_data | {"customSettings": {"extra": {"parking": {"spaces": 5}}}})
        assert resolve(good, store).settings["extra"] == {"parking": {"spaces": 5}}
        bad = parse_manifest(manifest_data | {"customSettings": {"extra": {"parkng": 1}}})
        with pytest.raises(ManifestError, match=r"customSettings.extra.parkng.*Did you mean parking"):
            resolve(bad, store)

    def test_the_settings_read_back_what_they_write(self) -> None:
        for template in TemplateStore().list():
            read = Settings.model_validate(template.settings)
            assert read.model_dump(mode="json", by_alias=True) == template.settings


def test_versions_are_ordered_by_number_not_by_text() -> None:
    assert ordered(["1.10.0", "1.9.0", "1.9.0-rc.1"]) == ["1.9.0-rc.1", "1.9.0", "1.10.0"]
    assert newest(["1.0.0-rc.1", "1.0.0-rc.2"]) == "1.0.0-rc.2"
