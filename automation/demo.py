"""`make demo`: the whole story on one machine, with real commands on a real PostgreSQL. It can be run again.

Everything lies in `.tenantry/demo`: server, state, copies of the manifests, passphrase. Decides only what to tell; each
step is a `tenantry` command as a user would type it. This is the one module of `automation` that may import `sandbox`.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg import sql

from automation.errors import TenantryError
from sandbox import postgres
from sandbox.errors import SandboxError
from sandbox.postgres import EmbeddedPostgres

SOURCE = Path(__file__).resolve().parent.parent
TENANTS = ("cabinet-rive", "ortho-ueetli", "petits-sourires")
CHANGED, BROKEN = "cabinet-rive", "petits-sourires"
_REFUSE = """
    CREATE SCHEMA IF NOT EXISTS demo;
    CREATE OR REPLACE FUNCTION demo.refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the demo lets no settings be written here'; END $$;
    DROP TRIGGER IF EXISTS demo_refuses ON cabinet.settings;
    CREATE TRIGGER demo_refuses BEFORE INSERT OR UPDATE ON cabinet.settings
        FOR EACH ROW EXECUTE FUNCTION demo.refuse();
"""
_ALLOW = "DROP SCHEMA IF EXISTS demo CASCADE"


class DemoError(TenantryError):
    """A command of the demo did not end as it should have."""


class Demo:
    """The demo in one project folder."""

    def __init__(self, root: Path) -> None:
        self.folder = root / ".tenantry" / "demo"
        self.project = self.folder / "project"
        self.server_folder = self.folder / "postgres"
        self._server: EmbeddedPostgres | None = None

    # What the demo tells

    def run(self) -> None:
        """Tells the story from beginning to end. Raises DemoError when something does not go as told."""
        self._heading("An embedded PostgreSQL, and three manifests")
        self._prepare()
        self._tenantry("validate", *(str(self.project / "stacks" / f"{tenant}.yaml") for tenant in TENANTS))
        self._tenantry("engine")
        self._heading("Three cabinets, one per built-in template")
        for tenant in TENANTS:
            self._tenantry("up", tenant)
        self._heading("What exists now")
        self._tenantry("list")
        self._show_databases()
        self._heading("The same again changes nothing")
        self._tenantry("up", CHANGED, "--expect-no-changes")
        self._heading(f"One setting of {CHANGED} changes: the colour of its brand")
        self._edit(CHANGED, {"customSettings": {"branding": {"primaryColor": "#9D174D"}}})
        self._tenantry("preview", CHANGED)
        self._tenantry("up", CHANGED)
        self._show_setting(CHANGED, "branding")
        self._break()
        self._heading("In the end")
        self._tenantry("list")
        self._tenantry("history", BROKEN)
        self._say(
            f"\nLook around yourself:  . {shlex.quote(str(self._env_file))}; tenantry show {CHANGED}\n"
            "Tear it all down:      make clean-demo"
        )

    def _break(self) -> None:
        self._heading(f"A change of {BROKEN} that fails half-way, and its automatic rollback")
        self._say(
            "Its manifest gets a new name and another currency. Its database is made to refuse new settings, by a\n"
            "trigger that this demo installs: so the name is changed first, and then the settings fail."
        )
        before = self._record(BROKEN)
        self._execute(f"cabinet_{BROKEN.replace('-', '_')}", _REFUSE)
        try:
            self._edit(BROKEN, {"name": "A name that will not last", "customSettings": {"currency": "CHF"}})
            self._tenantry("up", BROKEN, expected=3)
        finally:
            self._execute(f"cabinet_{BROKEN.replace('-', '_')}", _ALLOW)
        self._say(f"its record before: {before}\nits record now:    {self._record(BROKEN)}")
        if self._record(BROKEN) != before:
            raise DemoError(f"the rollback of {BROKEN} did not bring its record back")
        self._reset(BROKEN)
        self._say("The cause is gone and the manifest is as it was, so the next `up` finds nothing to do:")
        self._tenantry("up", BROKEN, "--expect-no-changes")

    def clean(self) -> None:
        """Removes the cabinets, the server and the folder."""
        if not self.folder.exists():
            self._say("there is no demo to clean up")
            return
        if (self.project / "Pulumi.yaml").exists() and self.server_folder.exists():
            self._heading("Tearing down")
            self._prepare()
            for tenant in TENANTS:
                self._tenantry("destroy", tenant, "--yes", expected=(0, 2))
        postgres.remove(self.server_folder)
        shutil.rmtree(self.folder)
        self._say(f"\n{self.folder} is gone, and with it the server and all that was in it")

    # What it needs

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._server = postgres.start(self.server_folder)
        (self.project / "stacks").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SOURCE / "Pulumi.yaml", self.project / "Pulumi.yaml")
        for tenant in TENANTS:
            self._reset(tenant)
        passphrase = self.folder / "passphrase"
        if not passphrase.exists():
            _write_private(passphrase, secrets.token_urlsafe(24))
        lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(self._settings().items())]
        _write_private(self._env_file, "\n".join([*lines, f"export PATH={shlex.quote(str(_scripts()))}:$PATH", ""]))
        self._say(f"PostgreSQL runs on {self._server.host}:{self._server.port}; everything is in {self.folder}")

    @property
    def _env_file(self) -> Path:
        return self.folder / "env"

    def _settings(self) -> dict[str, str]:
        return {
            **self._running.env(),
            "DB_NAME": "tenantry",
            "TENANTRY_PROJECT_DIR": str(self.project),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.folder / "passphrase"),
        }

    @property
    def _running(self) -> EmbeddedPostgres:
        if self._server is None:
            raise DemoError("the demo's PostgreSQL has not been started")
        return self._server

    def _reset(self, tenant: str) -> None:
        shutil.copyfile(SOURCE / "stacks" / f"{tenant}.yaml", self.project / "stacks" / f"{tenant}.yaml")

    def _edit(self, tenant: str, changes: dict[str, Any]) -> None:
        path = self.project / "stacks" / f"{tenant}.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key, value in changes.items():
            content[key] = {**content.get(key, {}), **value} if isinstance(value, dict) else value
        path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def _tenantry(self, *words: str, expected: int | tuple[int, ...] = 0) -> None:
        shown = [os.path.relpath(word, self.project) if word.startswith(str(self.project)) else word for word in words]
        self._say(f"\n$ tenantry {shlex.join(shown)}")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DB_", "PULUMI_", "PG"))}
        environment = {**kept, **self._settings()}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH", "")]))
        done = subprocess.run([sys.executable, "-m", "automation", *words], env=environment, check=False)
        codes = (expected,) if isinstance(expected, int) else expected
        if done.returncode not in codes:
            raise DemoError(f"`tenantry {shlex.join(shown)}` ended with {done.returncode} and not with {codes[0]}")
        if expected == 3:
            self._say("(exit code 3: it failed and was rolled back, as it should)")

    # What it shows from the databases

    def _show_databases(self) -> None:
        for tenant in TENANTS:
            identifier = f"cabinet_{tenant.replace('-', '_')}"
            with psycopg.connect(self._running.url(identifier), connect_timeout=10) as connection:
                # What the application may see: the rights are those of the cabinet's own role.
                connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(f"{identifier}_app")))
                tables = connection.execute(
                    "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'cabinet'"
                ).fetchone()
                found = connection.execute("SELECT section, value FROM cabinet.settings").fetchall()
                settings = {str(section): value for section, value in found}
            slots = settings.get("appointments", {}).get("slotMinutes")
            days = settings.get("booking", {}).get("advanceDays")
            self._say(
                f"  {tenant}: database {identifier} as role {identifier}_app: {tables[0] if tables else 0} tables, "
                f"{len(settings)} settings, slots of {slots:g} minutes, booking {days:g} days ahead"
            )

    def _show_setting(self, tenant: str, section: str) -> None:
        with psycopg.connect(
            self._running.url(f"cabinet_{tenant.replace('-', '_')}"), connect_timeout=10
        ) as connection:
            row = connection.execute("SELECT value FROM cabinet.settings WHERE section = %s", (section,)).fetchone()
        self._say(f"  in its database: {section} = {row[0] if row else 'nothing'}")

    def _record(self, tenant: str) -> str:
        with psycopg.connect(self._running.url("tenantry"), connect_timeout=10) as connection:
            row = connection.execute("SELECT name, status FROM cabinets WHERE slug = %s", (tenant,)).fetchone()
        return f"{row[0]}, {row[1]}" if row else "none"

    def _execute(self, database: str, statements: str) -> None:
        with psycopg.connect(self._running.url(database), autocommit=True, connect_timeout=10) as connection:
            connection.execute(statements.encode())

    def _heading(self, text: str) -> None:
        self._say(f"\n=== {text} ===")

    @staticmethod
    def _say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def _scripts() -> Path:
    return Path(sys.prefix) / "bin"


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def main(arguments: Sequence[str] | None = None, root: Path | None = None) -> int:
    """`run` or `clean`. Returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    demo = Demo(root or Path.cwd())
    action = {"run": demo.run, "clean": demo.clean}.get(" ".join(words))
    if action is None:
        sys.stderr.write("usage: python -m automation.demo run|clean\n")
        return 2
    try:
        action()
    except (TenantryError, SandboxError, psycopg.Error, OSError) as error:
        sys.stderr.write(f"error: the demo stopped: {error}\n  what to do: `make clean-demo`, then `make demo` again\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("cancelled; `make clean-demo` removes what there is\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
