"""Every command of the README, run as it stands there: first the demo, then each shell block, then the clean-up."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
COPIED = ("automation", "components", "engine", "providers", "sandbox", "service", "stacks", "templates", "Pulumi.yaml")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project in which the demo has run, so that nothing of it lands in this one."""
    folder = tmp_path_factory.mktemp("readme") / "tenantry"
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "Pulumi.*.yaml"))
        else:
            shutil.copyfile(source, folder / name)
    # Pulumi.yaml names the project's virtual environment: here it is the one that runs the tests.
    (folder / ".venv").symlink_to(sys.prefix)
    try:
        run(folder, f"{sys.executable} -m automation.demo run")
        yield folder
    finally:
        run(folder, f"{sys.executable} -m automation.demo clean")
    assert not (folder / ".tenantry" / "demo").exists()


def run(folder: Path, script: str, setup: str = "") -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DB_", "PULUMI_", "TENANTRY_PROJECT"))}
    scripts = Path(sys.executable).parent
    environment |= {"PYTHONPATH": str(folder), "HOME": str(folder), "PATH": f"{scripts}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{setup}\n{script}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, (
        f"{script}\nended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return done.stdout + done.stderr


def test_the_two_commands_are_make_targets() -> None:
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:20]
    for target in ("demo", "test", "clean-demo", "check", "bench"):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, check=True, timeout=60)
    assert any(line.startswith("make demo") for line in first_screen)
    assert any(line.startswith("make test") for line in first_screen)


@pytest.mark.timeout(900)
def test_every_command_of_the_readme_works(checkout: Path) -> None:
    enter = "set +u; . .tenantry/demo/env; set -u"
    assert len(BLOCKS) >= 4
    shown = [run(checkout, block, "" if number == 0 else enter) for number, block in enumerate(BLOCKS)]
    assert "cabinet-rive" in shown[0]
    assert "nothing to change" in shown[1]
    assert "rolled back" in shown[2] or "succeeded" in shown[2]
    assert "cabinet-rive" in shown[3]


def test_every_link_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_command_is_in_its_page() -> None:
    from typer.main import get_command

    from automation.cli import app

    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    top = get_command(app)
    names: list[str] = []
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        names.extend(f"{name} {one}" for one in inner)
        if not inner:
            names.append(name)
    assert len(names) > 15
    for name in names:
        first, _, second = name.partition(" ")
        # A group's commands are listed in one row: `tenantry templates list`, `show ID`.
        rows = [line for line in page.splitlines() if re.search(rf"`tenantry {first}\b", line) or f"`{first} " in line]
        assert rows, name
        if second:
            assert any(re.search(rf"`(tenantry )?({first} )?{second}\b", line) for line in rows), name


def test_every_variable_is_documented() -> None:
    pages = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("cli.md", "service.md"))
    found: set[str] = set()
    for folder in ("automation", "service"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            found.update(re.findall(r"validation_alias=\"([A-Z_]+)\"", text))
            found.update(re.findall(r"envvar=\"([A-Z_]+)\"", text))
    assert len(found) > 20
    assert sorted(name for name in found if name not in pages) == []
