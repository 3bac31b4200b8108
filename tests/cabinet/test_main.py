"""`pulumi up -s <tenant>`: the manifest becomes the stack, and wrong input one clear error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from providers.cabinet_record import CabinetRecordProvider
from stacks import __main__ as program

Query = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def stacks_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(program, "HERE", tmp_path)
    return tmp_path


def write(folder: Path, data: dict[str, Any]) -> None:
    (folder / "acme.yaml").write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")


def test_the_manifest_of_the_stack_becomes_the_stack(
    stacks_dir: Path, cabinets: Query, manifest_data: dict[str, Any], run: Any
) -> None:
    write(stacks_dir, manifest_data)
    outputs = run(program.main)
    assert outputs["template"] == ("default-dental@1.0.0", False)
    assert outputs["status"] == ("active", False)


def test_a_tenant_keeps_its_template_version(
    stacks_dir: Path,
    cabinets: Query,
    manifest_data: dict[str, Any],
    record_props: dict[str, Any],
    run: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "custom" / "evening"
    folder.mkdir(parents=True)
    for version in ("1.0.0", "1.1.0"):
        content = {
            "id": "evening",
            "version": version,
            "line": "cabinet",
            "title": "E",
            "description": "E",
            "settings": {},
        }
        (folder / f"{version}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setenv("TENANTRY_TEMPLATES", str(folder.parent))
    write(stacks_dir, manifest_data | {"templateId": "evening"})
    CabinetRecordProvider().create(record_props | {"template_id": "evening", "template_version": "1.0.0"})
    assert run(program.main)["template"] == ("evening@1.0.0", False)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"phnoe": "1"}, "phnoe: given an unknown key.*Did you mean phone"),
        ({"slug": "other"}, 'slug: given "other"; valid: the stack\'s name, acme'),
        (
            {"templateId": "pediatrics"},
            'templateId: given "pediatrics"; valid: one of default-dental, orthodontics, pediatric',
        ),
    ],
)
def test_wrong_input_is_one_pulumi_error(
    stacks_dir: Path, cabinets: Query, manifest_data: dict[str, Any], run: Any, changes: dict[str, Any], expected: str
) -> None:
    write(stacks_dir, manifest_data | changes)
    with pytest.raises(pulumi.RunError, match=expected):
        run(program.main)


def test_a_missing_manifest_is_named(stacks_dir: Path, run: Any) -> None:
    with pytest.raises(pulumi.RunError, match=r"no manifest for the stack acme: write stacks/acme.yaml"):
        run(program.main)


def test_a_database_without_tables_is_told(
    stacks_dir: Path, main_db: Any, manifest_data: dict[str, Any], run: Any
) -> None:
    write(stacks_dir, manifest_data)
    with pytest.raises(pulumi.RunError, match=r"Run: tenantry db upgrade"):
        run(program.main)


def test_a_wrong_environment_is_told(
    stacks_dir: Path, manifest_data: dict[str, Any], run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PORT", "postgres")
    write(stacks_dir, manifest_data | {"templateVersion": "1.0.0"})
    with pytest.raises(pulumi.RunError, match=r"DB_PORT is 'postgres': set it to a number"):
        run(program.main)


def test_the_project_file_points_at_the_program() -> None:
    root = Path(program.__file__).resolve().parents[1]
    project = yaml.safe_load((root / "Pulumi.yaml").read_text(encoding="utf-8"))
    assert project["name"] == "tenantry"
    assert (root / project["main"] / "__main__.py").is_file()
    assert project["stackConfigDir"] == "stacks"
