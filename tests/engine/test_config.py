"""A stack's settings: keys, paths, secrets, and that nothing else in the file is lost."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.bucket import FileBucket
from engine.config import StackSettings, full_key, lookup, project_defaults, reveal, split_key, to_store
from engine.config_path import get_path, parse_path, remove_path, set_path, typed
from engine.errors import SecretsError, StateError, UsageError
from engine.project import Project, find_project, load_project, open_backend, select_stack, selected_stack


class Reversing:
    """A cipher that can be read by eye."""

    def encrypt(self, plaintext: str) -> str:
        return f"v1:{plaintext[::-1]}"

    def decrypt(self, text: str) -> str:
        if not text.startswith("v1:"):
            raise SecretsError("incorrect passphrase")
        return text[3:][::-1]


@pytest.mark.parametrize(
    ("text", "key"), [("a", "proj:a"), ("aws:region", "aws:region"), ("aws:config:region", "aws:region")]
)
def test_keys_get_their_namespace(text: str, key: str) -> None:
    assert full_key(text, "proj") == key


@pytest.mark.parametrize("text", ["", ":", "a:", "a:b:c", "a:config:b:c"])
def test_keys_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="configuration key"):
        full_key(text, "proj")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ["a"]),
        ("a.b[0].c", ["a", "b", 0, "c"]),
        ('a["b.c"][1]', ["a", "b.c", 1]),
        ('["x"].y', ["x", "y"]),
    ],
)
def test_paths(text: str, parts: list[str | int]) -> None:
    assert parse_path(text) == parts


@pytest.mark.parametrize("text", ["", "a[", "a[x]", "[0]", "a]", "a..b"])
def test_paths_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="invalid configuration path"):
        parse_path(text)


def test_path_with_a_namespace() -> None:
    assert split_key("aws:tags.team", "proj", path=True) == ("aws:tags", ["team"])
    assert split_key('tags["a:b"]', "proj", path=True) == ("proj:tags", ["a:b"])
    assert split_key("a.b", "proj", path=False) == ("proj:a.b", [])


PARTS = st.lists(st.sampled_from(["a", "b", 0]), min_size=1, max_size=4)


@given(PARTS, st.integers())
def test_what_was_set_is_there_and_can_be_removed(parts: list[str | int], value: int) -> None:
    tree = set_path(None, parts, value, "key")
    assert get_path(tree, parts) == (True, value)
    assert get_path(remove_path(tree, parts), parts) == (False, None)


def test_setting_does_not_change_what_was_given() -> None:
    before = {"a": [1, 2]}
    assert set_path(before, ["a", 1], 3, "k") == {"a": [1, 3]}
    assert set_path(before, ["a", 2], 3, "k") == {"a": [1, 2, 3]}
    assert before == {"a": [1, 2]}


@pytest.mark.parametrize(("parts", "words"), [(["a", 5], "next position is 2"), ([0], "position"), (["a", "b"], "map")])
def test_paths_that_do_not_fit(parts: list[str | int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        set_path({"a": [1, 2]}, parts, 1, "k")


@pytest.mark.parametrize(("text", "value"), [("true", True), ("-3", -3), ("03", "03"), ("1.5", "1.5"), ("x", "x")])
def test_types_by_path(text: str, value: Any) -> None:
    assert typed(text) == value
    assert type(typed(text)) is type(value)


def test_other_keys_of_the_file_stay(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text("environment: [x]\nencryptionsalt: v1:a:b\nodd: {deep: 1}\nconfig:\n  proj:a: '1'\n")
    settings = StackSettings.load(path)
    settings.set("proj:b", ["x", 0], 3, "proj")
    settings.remove("proj:a", [], "proj")
    settings.save()
    body = yaml.safe_load(path.read_text())
    assert body == {
        "environment": ["x"],
        "encryptionsalt": "v1:a:b",
        "odd": {"deep": 1},
        "config": {"proj:b": {"x": [3]}},
    }
    settings.remove("proj:b", [], "proj")
    settings.save()
    assert "config" not in yaml.safe_load(path.read_text())


@pytest.mark.parametrize("text", ["[1]", "config: 3", "a: b: c"])
def test_a_file_that_is_no_settings_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(text)
    with pytest.raises((StateError, UsageError), match=r"Pulumi\.dev\.yaml"):
        StackSettings.load(path)


def test_values_as_a_program_reads_them() -> None:
    cipher = Reversing()
    stored = {
        "p:flag": True,
        "p:number": 3,
        "p:secret": to_store("hush", secret=True, path=False, cipher=cipher),
        "p:tree": {"a": [1, {"secure": "v1:hsuh"}]},
    }
    assert "hush" not in str(stored)
    values = reveal(stored, cipher)
    assert {key: (value.text, value.secret) for key, value in values.items()} == {
        "p:flag": ("true", False),
        "p:number": ("3", False),
        "p:secret": ("hush", True),
        "p:tree": ('{"a":[1,"hush"]}', True),
    }
    assert values["p:secret"].to_json(show=False) == {"secret": True}
    assert values["p:tree"].to_json(show=True)["objectValue"] == {"a": [1, "hush"]}
    with pytest.raises(SecretsError, match="'p:bad'"):
        reveal({"p:bad": {"secure": "broken"}}, cipher)


def test_looking_up() -> None:
    values = {"p:a": {"b": [1]}}
    assert lookup(values, "p:a", ["b", 0]) == (True, 1)
    assert lookup(values, "p:a", ["c"]) == (False, None)
    assert lookup(values, "p:x", []) == (False, None)


# ------------------------------------------------------------------ the project


def make_project(folder: Path, text: str = "name: proj\nruntime: python\n") -> Project:
    (folder / "Pulumi.yaml").write_text(text)
    return load_project(folder / "Pulumi.yaml")


def test_the_project_is_found_upwards(tmp_path: Path) -> None:
    make_project(tmp_path)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find_project(inner).root == tmp_path


def test_no_project_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no Pulumi\.yaml project file found"):
        find_project(tmp_path)


@pytest.mark.parametrize("text", ["runtime: python", "name: x", "name: [1]\nruntime: python", ""])
def test_a_project_needs_name_and_runtime(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"Pulumi\.yaml"):
        make_project(tmp_path, text)


def test_defaults_of_the_project(tmp_path: Path) -> None:
    project = make_project(
        tmp_path,
        "name: proj\nruntime: {name: python, options: {virtualenv: .venv}}\nstackConfigDir: conf\n"
        "config:\n  a: {type: integer, default: 3}\n  b: {type: string}\n  aws:region: {value: eu}\n"
        "  s: {default: x, secret: true}\n  c: 1\n",
    )
    values, secret, required = project_defaults(project)
    assert values == {"proj:a": 3, "aws:region": "eu", "proj:s": "x", "proj:c": 1}
    assert (secret, required) == (frozenset({"proj:s"}), ["proj:b"])
    assert project.stack_file("dev") == tmp_path / "conf" / "Pulumi.dev.yaml"
    assert project.runtime_options == {"virtualenv": ".venv"}


def folder_of(project: Project | None, environment: dict[str, str], cwd: Path) -> Path:
    bucket = open_backend(project, environment, cwd).bucket
    assert isinstance(bucket, FileBucket)
    return bucket.folder


def test_the_backend_is_relative_to_the_project(tmp_path: Path) -> None:
    project = make_project(tmp_path, "name: proj\nruntime: python\nbackend: {url: 'file://./.state/x'}\n")
    elsewhere = tmp_path / "sub"
    assert folder_of(project, {}, elsewhere) == tmp_path / ".state" / "x"
    assert folder_of(project, {"PULUMI_BACKEND_URL": tmp_path.as_uri()}, elsewhere) == tmp_path
    home = {"HOME": str(tmp_path), "PULUMI_HOME": str(tmp_path)}
    assert folder_of(None, home, elsewhere) == tmp_path
    (tmp_path / "credentials.json").write_text('{"current": "file://~/there"}')
    assert folder_of(None, home, elsewhere) == tmp_path / "there"


def test_a_backend_that_is_not_served_is_refused_without_what_may_be_secret_in_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="s3://' is not served") as failure:
        open_backend(None, {"PULUMI_BACKEND_URL": "s3://bucket?key=hush"}, tmp_path)
    assert "hush" not in str(failure.value)


def test_the_selection_is_remembered_by_project(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    environment = {"PULUMI_HOME": str(tmp_path / "home")}
    assert selected_stack(project, environment) == ""
    select_stack(project, environment, "dev")
    assert selected_stack(project, environment) == "dev"
    assert selected_stack(project, {**environment, "PULUMI_STACK": "prod"}) == "prod"
    select_stack(project, environment, "")
    assert selected_stack(project, environment) == ""
