"""What several tests of the automation share."""

from pathlib import Path
from typing import Any

import yaml

from automation.steps import RunState
from automation.tracking import LogLine

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "correct horse battery staple"
MANIFEST: dict[str, Any] = {
    "kind": "cabinet",
    "name": "Cabinet « Chez Zoé » O'Neill 🦷",
    "slug": "acme",
    "address": {"street": "12, quai Gustave-Ador", "city": "Genève", "postalCode": "1207", "country": "CH"},
    "phone": "+41 22 555 01 42",
    "email": "contact@acme.example",
    "templateId": "default-dental",
}


class Recorder:
    """An observer that keeps everything."""

    def __init__(self) -> None:
        self.states: list[RunState] = []
        self.lines: list[LogLine] = []

    def changed(self, state: RunState) -> None:
        self.states.append(state)

    def said(self, line: LogLine) -> None:
        self.lines.append(line)


def write_manifest(project: Path, slug: str = "acme", **changes: Any) -> Path:
    """Writes `stacks/<slug>.yaml`: the standard manifest with changes."""
    path = project / "stacks" / f"{slug}.yaml"
    path.write_text(yaml.safe_dump(MANIFEST | {"slug": slug} | changes, allow_unicode=True), encoding="utf-8")
    return path
