"""`make demo`: the whole story on one machine, through the HTTP API, on a real PostgreSQL. It can be run again.

Everything lies in `.tenantry/demo`: server, state, copies of the manifests, passphrase. Decides only what to tell; each
step is a request that anybody could make. Beside `dev` and `calibration.subject`, this is
the one module of `automation` that may import `sandbox`.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
import yaml
from psycopg import sql

from automation import demo_department
from automation.demo_client import Client, DemoError
from automation.demo_story import Story
from automation.dev import MAIN_DATABASE, SOURCE, Dev
from automation.display import duration
from automation.errors import TenantryError
from sandbox.errors import SandboxError

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


class Demo:
    """The demo in one project folder."""

    def __init__(self, root: Path) -> None:
        self.folder = root / ".tenantry" / "demo"
        self.project = self.folder / "project"
        self.story = Story(Dev(self.folder, self.project, clean=True))

    # What the demo tells

    def run(self) -> None:
        """Tells the story from beginning to end. Raises DemoError when something does not go as told."""
        with self.story.dev, self.story.interruptible():
            self.story.heading("A PostgreSQL, the service and a worker, all on this machine")
            self._prepare()
            self.story.dev.start()
            self.story.say(f"the service listens on {self.story.dev.url}; what follows is asked of its API")
            self.story.client = Client(self.story.dev.url, self.story.dev.token("demo"))
            try:
                self._tell()
            finally:
                self.story.client.close()
        self.story.say(
            "\nThe service and the worker are stopped. So that you can look around, these run on: PostgreSQL, Caddy,\n"
            "the authorization server, n8n (simulated), supervisor and, under it, the department's application.\n"
            f"  . {shlex.quote(str(self.story.dev.env_file))}\n"
            f"  tenantry show {CHANGED}      or any other command\n"
            "  tenantry dev                    the service with its page, on these cabinets, until Ctrl-C\n"
            "Tear it all down:  make clean-demo"
        )

    def _tell(self) -> None:
        self.story.heading("Three cabinets, one per built-in template, two at a time")
        self._finish_earlier()
        jobs = [
            self.story.submit("POST", "/tenants", self._manifest(tenant), note=tenant) for tenant in self._missing()
        ]
        self.story.watch(*jobs)
        self.story.heading("What exists now")
        self._show_tenants()
        self._show_databases()
        self.story.heading("The same again changes nothing")
        self.story.expect_nothing(self.story.watch(self.story.submit("POST", f"/tenants/{CHANGED}/up"), brief=True)[0])
        self._change()
        self._break()
        self.story.heading("Back to what it was")
        self.story.watch(self.story.submit("POST", f"/tenants/{BROKEN}/rollback"), brief=True)
        self.story.say(f"its record now: {self._record(BROKEN)}")
        self._reset(BROKEN)
        again = self.story.submit("PUT", f"/tenants/{BROKEN}", self._manifest(BROKEN))
        self.story.expect_nothing(self.story.watch(again, brief=True)[0])
        demo_department.tell(self.story)
        self.story.heading("All of it is on record")
        self._show_history(BROKEN)
        self._show_audit()

    def _finish_earlier(self) -> None:
        """What a demo that was stopped has left: its fault, and jobs that the worker goes on with."""
        identifier = f"cabinet_{BROKEN.replace('-', '_')}"
        with psycopg.connect(self.story.dev.server.url(), connect_timeout=10) as connection:
            there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (identifier,)).fetchone()
        if there:
            self._execute(identifier, _ALLOW)
        for status in ("running", "pending"):
            for job in self.story.api.call("GET", f"/jobs?status={status}&size=200", expected=200)["items"]:
                self.story.say(f"job {job['id'][:8]} of {job['tenant']} is from an earlier run, and goes on first")
                self.story.follow(job, brief=True)

    def _missing(self) -> list[str]:
        rows = self.story.api.call("GET", "/tenants?size=200", expected=200)["items"]
        there = {row["slug"] for row in rows if row["status"] != "removed"}
        for tenant in (one for one in TENANTS if one in there):
            self.story.say(f"{tenant} is there from an earlier run: it is brought to its manifest")
            self.story.watch(self.story.submit("PUT", f"/tenants/{tenant}", self._manifest(tenant)), brief=True)
        return [tenant for tenant in TENANTS if tenant not in there]

    def _change(self) -> None:
        self.story.heading(f"One setting of {CHANGED} changes: the colour of its brand")
        self._edit(CHANGED, {"customSettings": {"branding": {"primaryColor": "#9D174D"}}})
        plan = self.story.watch(self.story.submit("POST", f"/tenants/{CHANGED}/preview", self._manifest(CHANGED)))[0]
        for change in plan["result"]["changes"]:
            for row in change["properties"]:
                self.story.say(f"  would change {row['path']}: {row['before']} -> {row['after']}")
        job = self.story.submit("PUT", f"/tenants/{CHANGED}", self._manifest(CHANGED))
        problem = self.story.api.call("DELETE", f"/tenants/{CHANGED}", expected=409)
        self.story.say(f"a second request for it meanwhile is refused (409): {problem['detail']}")
        self.story.watch(job)
        self._show_setting(CHANGED, "branding")

    def _break(self) -> None:
        self.story.heading(f"A change of {BROKEN} that fails half-way, and is taken back by itself")
        self.story.say(
            "Its manifest gets a new name and another currency. Its database is made to refuse new settings, by a\n"
            "trigger that this demo installs: so the name is changed first, and then the settings fail."
        )
        before = self._record(BROKEN)
        self._execute(f"cabinet_{BROKEN.replace('-', '_')}", _REFUSE)
        try:
            self._edit(BROKEN, {"name": "A name to try", "customSettings": {"currency": "CHF"}})
            job = self.story.submit("PUT", f"/tenants/{BROKEN}", self._manifest(BROKEN))
            failed = self.story.watch(job, expected="rolled_back")[0]
        finally:
            self._execute(f"cabinet_{BROKEN.replace('-', '_')}", _ALLOW)
        self.story.say(f"why: {failed['error']['message']}")
        self.story.say(f"its record before: {before}\nits record now:    {self._record(BROKEN)}")
        if self._record(BROKEN) != before:
            raise DemoError(f"the rollback of {BROKEN} did not bring its record back")
        self.story.say("\nThe cause is gone, so the job is tried once more:")
        self.story.watch(self.story.submit("POST", f"/jobs/{failed['id']}/retry"), brief=True)
        self.story.say(f"its record now: {self._record(BROKEN)}")

    def clean(self) -> None:
        """Removes the tenants, the servers and the folder."""
        if not self.folder.exists():
            self.story.say("there is no demo to clean up")
            return
        with self.story.dev:
            if (self.project / "Pulumi.yaml").exists() and self.story.dev.server_folder.exists():
                self.story.heading("Tearing down")
                self._prepare()
                for tenant in (*TENANTS, demo_department.TENANT):
                    self._destroy(tenant)
        self.story.dev.remove()
        self.story.say(f"\n{self.folder} is gone, and with it the servers and all that was in them")

    # What it needs

    def _prepare(self) -> None:
        (self.project / "stacks").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SOURCE / "Pulumi.yaml", self.project / "Pulumi.yaml")
        for tenant in TENANTS:
            self._reset(tenant)
        self.story.dev.prepare(lasting=True)
        server = self.story.dev.server
        self.story.say(f"PostgreSQL runs on {server.host}:{server.port}; everything is in {self.folder}")

    def _reset(self, tenant: str) -> None:
        shutil.copyfile(SOURCE / "stacks" / f"{tenant}.yaml", self.project / "stacks" / f"{tenant}.yaml")

    def _manifest(self, tenant: str) -> dict[str, Any]:
        text = (self.project / "stacks" / f"{tenant}.yaml").read_text(encoding="utf-8")
        content = yaml.safe_load(text)
        return dict(content)

    def _edit(self, tenant: str, changes: Mapping[str, Any]) -> None:
        content = self._manifest(tenant)
        for key, value in changes.items():
            content[key] = {**content.get(key, {}), **value} if isinstance(value, Mapping) else value
        path = self.project / "stacks" / f"{tenant}.yaml"
        path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def _destroy(self, tenant: str) -> None:
        """By the command and not by a job: what is torn down may be half broken, and needs no service for it."""
        self.story.say(f"\n$ tenantry destroy {tenant} --yes")
        done = subprocess.run(
            [sys.executable, "-m", "automation", "destroy", tenant, "--yes"],
            env=self.story.dev.environment(),
            check=False,
            timeout=600,
        )
        if done.returncode not in {0, 2}:
            raise DemoError(f"`tenantry destroy {tenant}` ended with {done.returncode}")

    # What it shows

    def _show_tenants(self) -> None:
        for row in self.story.api.call("GET", "/tenants?size=200", expected=200)["items"]:
            version = f"{row['template_id']}@{row['template_version']}"
            self.story.say(f"  {row['slug']:<18} {row['status']:<10} {version:<24} {row['name']}")

    def _show_databases(self) -> None:
        for tenant in TENANTS:
            identifier = f"cabinet_{tenant.replace('-', '_')}"
            with psycopg.connect(self.story.dev.server.url(identifier), connect_timeout=10) as connection:
                # What the application may see: the rights are those of the cabinet's own role.
                connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(f"{identifier}_app")))
                tables = connection.execute(
                    "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'cabinet'"
                ).fetchone()
                found = connection.execute("SELECT section, value FROM cabinet.settings").fetchall()
                settings = {str(section): value for section, value in found}
            slots = settings.get("appointments", {}).get("slotMinutes")
            days = settings.get("booking", {}).get("advanceDays")
            self.story.say(
                f"  {tenant}: database {identifier} as role {identifier}_app: {tables[0] if tables else 0} tables, "
                f"{len(settings)} settings, slots of {slots:g} minutes, booking {days:g} days ahead"
            )

    def _show_setting(self, tenant: str, section: str) -> None:
        with psycopg.connect(
            self.story.dev.server.url(f"cabinet_{tenant.replace('-', '_')}"), connect_timeout=10
        ) as connection:
            row = connection.execute("SELECT value FROM cabinet.settings WHERE section = %s", (section,)).fetchone()
        self.story.say(f"  in its database: {section} = {row[0] if row else 'nothing'}")

    def _show_history(self, tenant: str) -> None:
        self.story.say("newest first:")
        for row in self.story.api.call("GET", f"/tenants/{tenant}/deployments", expected=200)["items"]:
            took = duration(row["duration_ms"])
            self.story.say(f"  {tenant}: {row['operation']:<9} {row['status']:<12} {took:>7}  by {row['actor']}")

    def _show_audit(self) -> None:
        rows = self.story.api.call("GET", "/audit?size=5", expected=200)["items"]
        for row in rows:
            self.story.say(f"  audit: {row['actor']} from {row['address']}: {row['action']} {row['tenant'] or ''}")

    def _record(self, tenant: str) -> str:
        with psycopg.connect(self.story.dev.server.url(MAIN_DATABASE), connect_timeout=10) as connection:
            row = connection.execute("SELECT name, status FROM cabinets WHERE slug = %s", (tenant,)).fetchone()
        return f"{row[0]}, {row[1]}" if row else "none"

    def _execute(self, database: str, statements: str) -> None:
        with psycopg.connect(self.story.dev.server.url(database), autocommit=True, connect_timeout=10) as connection:
            connection.execute(statements.encode())


def main(arguments: Sequence[str] | None = None, root: Path | None = None) -> int:
    """`run` or `clean`. Returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    demo = Demo(root or Path.cwd())
    action = {"run": demo.run, "clean": demo.clean}.get(" ".join(words))
    if action is None:
        sys.stderr.write("usage: python -m automation.demo run|clean\n")
        return 2
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _ended)
    try:
        action()
    except (TenantryError, SandboxError, psycopg.Error, OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"error: the demo stopped: {error}\n  what to do: `make clean-demo`, then `make demo` again\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("cancelled; `make demo` goes on from what there is, `make clean-demo` removes it\n")
        return 130
    return 0


def _ended(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
