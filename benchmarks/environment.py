"""The surroundings of what is measured: its environment, the `tenantry` command, a project and a PostgreSQL of its own.

Everything lies in a temporary folder that goes away, with its server, however the measuring ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
import yaml
from psycopg import sql

from benchmarks.process import Finished, run
from sandbox import postgres
from sandbox.postgres import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
MAIN_DATABASE = "tenantry"
TEMPLATES = ("default-dental", "orthodontics", "pediatric")
_DROPPED = ("DB_", "PG", "PULUMI_", "TENANTRY_")
_LIMIT = 120.0


def base_environment(stock: Path | None = None) -> dict[str, str]:
    """The caller's environment without its servers and stacks; the stock engine, if any, comes first on PATH."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    if stock is not None:
        kept["PATH"] = os.pathsep.join([str(stock.parent), kept.get("PATH", os.defpath)])
    return kept


def tenantry_command() -> list[str]:
    """The installed command beside this interpreter, or, in a checkout that is not installed, the module behind it."""
    script = Path(sys.executable).parent / "tenantry"
    return [str(script)] if script.is_file() else [sys.executable, "-m", "automation"]


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tenantry-bench-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def server() -> Iterator[EmbeddedPostgres]:
    """An embedded PostgreSQL that is stopped and removed afterwards."""
    with temporary_folder() as folder:
        try:
            yield postgres.start(folder / "postgres")
        finally:
            postgres.remove(folder / "postgres")


def manifest_of(slug: str, number: int) -> dict[str, Any]:
    """A cabinet's manifest; the templates take turns."""
    return {
        "kind": "cabinet",
        "name": f"Cabinet {number}",
        "slug": slug,
        "address": {"street": "1, quai du Banc d'Essai", "city": "Genève", "postalCode": "1201", "country": "CH"},
        "phone": "+41 22 555 01 00",
        "email": f"{slug}@bench.example",
        "templateId": TEMPLATES[number % len(TEMPLATES)],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project folder on a server; its tenants are measured on the embedded engine."""

    folder: Path
    server: EmbeddedPostgres
    more: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def make(cls, folder: Path, running: EmbeddedPostgres, more: Mapping[str, str] = MappingProxyType({})) -> Project:
        """An empty project with a main database that is ready. `more` is set for its commands."""
        (folder / "stacks").mkdir(parents=True)
        shutil.copyfile(ROOT / "Pulumi.yaml", folder / "Pulumi.yaml")
        project = cls(folder=folder, server=running, more=more)
        project.tenantry("db", "upgrade")
        return project

    def tenantry(self, *words: str, expected: int | None = 0, limit: float = _LIMIT, watch: bool = False) -> Finished:
        """Runs one `tenantry` command. Raises CommandFailedError when its exit code is not `expected`, if one is."""
        environment = {
            **base_environment(),
            **self.server.env(),
            "DB_NAME": MAIN_DATABASE,
            "PULUMI_CONFIG_PASSPHRASE": "benchmarks",
            "TENANTRY_ENGINE": "embedded",
            "TENANTRY_PROJECT_DIR": str(self.folder),
            **self.more,
        }
        command = [*tenantry_command(), *words]
        return run(command, env=environment, cwd=self.folder, limit=limit, expected=expected, watch=watch)

    def write(self, slug: str, number: int, **changes: Any) -> None:
        """The manifest of `manifest_of`, with `changes`, as a file."""
        text = yaml.safe_dump({**manifest_of(slug, number), **changes}, allow_unicode=True, sort_keys=False)
        (self.folder / "stacks" / f"{slug}.yaml").write_text(text, encoding="utf-8")

    def execute(self, database: str, statement: str) -> None:
        """Runs SQL on the server, as its owner."""
        with psycopg.connect(self.server.url(database), autocommit=True, connect_timeout=10) as connection:
            connection.execute(sql.SQL(statement))

    def scalar(self, database: str, statement: str) -> Any:
        """The first value of the first row."""
        with psycopg.connect(self.server.url(database), connect_timeout=10) as connection:
            row = connection.execute(sql.SQL(statement)).fetchone()
        return row[0] if row else None
