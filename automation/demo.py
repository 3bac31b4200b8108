"""`make demo`: the whole story on one machine, through the HTTP API, on a real PostgreSQL. It can be run again.

Everything lies in `.tenantry/demo`: server, state, copies of the manifests, passphrase. Decides only what to tell; each
step is a request that anybody could make. Beside `dev`, this is the one module that may import `sandbox`.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
import yaml
from psycopg import sql

from automation.demo_client import Client, DemoError
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
_MARKS = {"completed": "✓", "failed": "✗", "rolled_back": "↩", "skipped": "-"}


class Demo:
    """The demo in one project folder."""

    def __init__(self, root: Path) -> None:
        self.folder = root / ".tenantry" / "demo"
        self.project = self.folder / "project"
        self._dev = Dev(self.folder, self.project, clean=True)
        self._client: Client | None = None
        self._printing = threading.Lock()
        self._silent = False

    # What the demo tells

    def run(self) -> None:
        """Tells the story from beginning to end. Raises DemoError when something does not go as told."""
        with self._dev, self._interruptible():
            self._heading("A PostgreSQL, the service and a worker, all on this machine")
            self._prepare()
            self._dev.start()
            self._say(f"the service listens on {self._dev.url}; what follows is asked of its API")
            self._client = Client(self._dev.url, self._dev.token("demo"))
            try:
                self._tell()
            finally:
                self._client.close()
        self._say(
            "\nThe service and the worker are stopped; PostgreSQL runs on, so that you can look around:\n"
            f"  . {shlex.quote(str(self._dev.env_file))}\n"
            f"  tenantry show {CHANGED}      or any other command\n"
            "  tenantry dev                    the service with its page, on these cabinets, until Ctrl-C\n"
            "Tear it all down:  make clean-demo"
        )

    def _tell(self) -> None:
        self._heading("Three cabinets, one per built-in template, two at a time")
        self._finish_earlier()
        jobs = [self._submit("POST", "/tenants", self._manifest(tenant), note=tenant) for tenant in self._missing()]
        self._watch(*jobs)
        self._heading("What exists now")
        self._show_tenants()
        self._show_databases()
        self._heading("The same again changes nothing")
        self._expect_nothing(self._watch(self._submit("POST", f"/tenants/{CHANGED}/up"), brief=True)[0])
        self._change()
        self._break()
        self._heading("Back to what it was")
        self._watch(self._submit("POST", f"/tenants/{BROKEN}/rollback"), brief=True)
        self._say(f"its record now: {self._record(BROKEN)}")
        self._reset(BROKEN)
        again = self._submit("PUT", f"/tenants/{BROKEN}", self._manifest(BROKEN))
        self._expect_nothing(self._watch(again, brief=True)[0])
        self._heading("All of it is on record")
        self._show_history(BROKEN)
        self._show_audit()

    def _finish_earlier(self) -> None:
        """What a demo that was stopped has left: its fault, and jobs that the worker goes on with."""
        identifier = f"cabinet_{BROKEN.replace('-', '_')}"
        with psycopg.connect(self._dev.server.url(), connect_timeout=10) as connection:
            there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (identifier,)).fetchone()
        if there:
            self._execute(identifier, _ALLOW)
        for status in ("running", "pending"):
            for job in self._api.call("GET", f"/jobs?status={status}&size=200", expected=200)["items"]:
                self._say(f"job {job['id'][:8]} of {job['tenant']} is from an earlier run, and goes on first")
                self._follow(job, brief=True)

    def _missing(self) -> list[str]:
        rows = self._api.call("GET", "/tenants?size=200", expected=200)["items"]
        there = {row["slug"] for row in rows if row["status"] != "removed"}
        for tenant in (one for one in TENANTS if one in there):
            self._say(f"{tenant} is there from an earlier run: it is brought to its manifest")
            self._watch(self._submit("PUT", f"/tenants/{tenant}", self._manifest(tenant)), brief=True)
        return [tenant for tenant in TENANTS if tenant not in there]

    def _change(self) -> None:
        self._heading(f"One setting of {CHANGED} changes: the colour of its brand")
        self._edit(CHANGED, {"customSettings": {"branding": {"primaryColor": "#9D174D"}}})
        plan = self._watch(self._submit("POST", f"/tenants/{CHANGED}/preview", self._manifest(CHANGED)))[0]
        for change in plan["result"]["changes"]:
            for row in change["properties"]:
                self._say(f"  would change {row['path']}: {row['before']} -> {row['after']}")
        job = self._submit("PUT", f"/tenants/{CHANGED}", self._manifest(CHANGED))
        problem = self._api.call("DELETE", f"/tenants/{CHANGED}", expected=409)
        self._say(f"a second request for it meanwhile is refused (409): {problem['detail']}")
        self._watch(job)
        self._show_setting(CHANGED, "branding")

    def _break(self) -> None:
        self._heading(f"A change of {BROKEN} that fails half-way, and is taken back by itself")
        self._say(
            "Its manifest gets a new name and another currency. Its database is made to refuse new settings, by a\n"
            "trigger that this demo installs: so the name is changed first, and then the settings fail."
        )
        before = self._record(BROKEN)
        self._execute(f"cabinet_{BROKEN.replace('-', '_')}", _REFUSE)
        try:
            self._edit(BROKEN, {"name": "A name to try", "customSettings": {"currency": "CHF"}})
            job = self._submit("PUT", f"/tenants/{BROKEN}", self._manifest(BROKEN))
            failed = self._watch(job, expected="rolled_back")[0]
        finally:
            self._execute(f"cabinet_{BROKEN.replace('-', '_')}", _ALLOW)
        self._say(f"why: {failed['error']['message']}")
        self._say(f"its record before: {before}\nits record now:    {self._record(BROKEN)}")
        if self._record(BROKEN) != before:
            raise DemoError(f"the rollback of {BROKEN} did not bring its record back")
        self._say("\nThe cause is gone, so the job is tried once more:")
        self._watch(self._submit("POST", f"/jobs/{failed['id']}/retry"), brief=True)
        self._say(f"its record now: {self._record(BROKEN)}")

    def clean(self) -> None:
        """Removes the cabinets, the server and the folder."""
        if not self.folder.exists():
            self._say("there is no demo to clean up")
            return
        with self._dev:
            if (self.project / "Pulumi.yaml").exists() and self._dev.server_folder.exists():
                self._heading("Tearing down")
                self._prepare()
                for tenant in TENANTS:
                    self._destroy(tenant)
        self._dev.remove()
        self._say(f"\n{self.folder} is gone, and with it the server and all that was in it")

    # Jobs

    @property
    def _api(self) -> Client:
        if self._client is None:
            raise DemoError("the demo's service has not been started")
        return self._client

    def _submit(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, note: str = ""
    ) -> dict[str, Any]:
        job: dict[str, Any] = self._api.call(method, path, body, expected=202)
        shown = f" {{slug: {note}, ...}}" if note else (" {...}" if body else "")
        self._say(f"$ {method} /api/v1{path}{shown}  ->  202, job {job['id'][:8]}")
        return job

    def _watch(
        self, *jobs: Mapping[str, Any], expected: str = "succeeded", brief: bool = False
    ) -> list[dict[str, Any]]:
        """Tells the events of jobs until all have ended; `brief`, only how they end. Returns the jobs."""
        futures: list[Future[dict[str, Any]]] = [Future() for _ in jobs]
        for job, future in zip(jobs, futures, strict=True):
            # Daemons: Ctrl-C does not wait for the end of what they follow.
            threading.Thread(target=self._follow_into, args=(job, future, brief), daemon=True).start()
        ended = [future.result() for future in futures]
        for job in ended:
            if job["status"] != expected:
                raise DemoError(f"job {job['id']} ended as {job['status']}, not {expected}: {job['error']}")
        return ended

    def _follow_into(self, job: Mapping[str, Any], future: Future[dict[str, Any]], brief: bool) -> None:
        try:
            future.set_result(self._follow(job, brief=brief))
        except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)

    def _follow(self, job: Mapping[str, Any], *, brief: bool) -> dict[str, Any]:
        told: dict[str, str] = {}
        for event in self._api.follow(job["id"]):
            # A step's other news, such as how long it took, is for those who show a table.
            if event.kind == "step" and not brief and told.get(event.data["key"]) != event.data["status"]:
                told[event.data["key"]] = event.data["status"]
                self._tell_step(job["tenant"], event.data)
        ended: dict[str, Any] = self._api.call("GET", f"/jobs/{job['id']}", expected=200)
        words = ended["status"].replace("_", " ")
        self._say(f"  {job['tenant']}: {job['operation']} {words} in {duration(ended['duration_ms'])}")
        return ended

    def _tell_step(self, tenant: str, step: Mapping[str, Any]) -> None:
        if (mark := _MARKS.get(step["status"])) is not None:
            why = f": {step['error']}" if step["status"] == "failed" else ""
            self._say(f"  {tenant}: {mark} {step['title']}{why}")

    def _expect_nothing(self, job: Mapping[str, Any]) -> None:
        if job["result"]["changed"]:
            raise DemoError(f"job {job['id']} changed something where there was nothing to change")
        self._say("  nothing to change")

    # What it needs

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Says that it stops, since that may take a moment; another Ctrl-C then does not wait."""
        try:
            yield
        except KeyboardInterrupt:
            self._say("\nstopping: what runs is finished, or given back; Ctrl-C again does not wait")
            self._silent = True
            if threading.current_thread() is threading.main_thread():
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, self._hurry)
            raise

    def _hurry(self, _number: int, _frame: FrameType | None) -> None:
        self._dev.hurried = True

    def _prepare(self) -> None:
        (self.project / "stacks").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SOURCE / "Pulumi.yaml", self.project / "Pulumi.yaml")
        for tenant in TENANTS:
            self._reset(tenant)
        self._dev.prepare(lasting=True)
        server = self._dev.server
        self._say(f"PostgreSQL runs on {server.host}:{server.port}; everything is in {self.folder}")

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
        self._say(f"\n$ tenantry destroy {tenant} --yes")
        done = subprocess.run(
            [sys.executable, "-m", "automation", "destroy", tenant, "--yes"],
            env=self._dev.environment(),
            check=False,
            timeout=600,
        )
        if done.returncode not in {0, 2}:
            raise DemoError(f"`tenantry destroy {tenant}` ended with {done.returncode}")

    # What it shows

    def _show_tenants(self) -> None:
        for row in self._api.call("GET", "/tenants?size=200", expected=200)["items"]:
            version = f"{row['template_id']}@{row['template_version']}"
            self._say(f"  {row['slug']:<18} {row['status']:<10} {version:<24} {row['name']}")

    def _show_databases(self) -> None:
        for tenant in TENANTS:
            identifier = f"cabinet_{tenant.replace('-', '_')}"
            with psycopg.connect(self._dev.server.url(identifier), connect_timeout=10) as connection:
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
            self._dev.server.url(f"cabinet_{tenant.replace('-', '_')}"), connect_timeout=10
        ) as connection:
            row = connection.execute("SELECT value FROM cabinet.settings WHERE section = %s", (section,)).fetchone()
        self._say(f"  in its database: {section} = {row[0] if row else 'nothing'}")

    def _show_history(self, tenant: str) -> None:
        self._say("newest first:")
        for row in self._api.call("GET", f"/tenants/{tenant}/deployments", expected=200)["items"]:
            took = duration(row["duration_ms"])
            self._say(f"  {tenant}: {row['operation']:<9} {row['status']:<12} {took:>7}  by {row['actor']}")

    def _show_audit(self) -> None:
        rows = self._api.call("GET", "/audit?size=5", expected=200)["items"]
        for row in rows:
            self._say(f"  audit: {row['actor']} from {row['address']}: {row['action']} {row['tenant'] or ''}")

    def _record(self, tenant: str) -> str:
        with psycopg.connect(self._dev.server.url(MAIN_DATABASE), connect_timeout=10) as connection:
            row = connection.execute("SELECT name, status FROM cabinets WHERE slug = %s", (tenant,)).fetchone()
        return f"{row[0]}, {row[1]}" if row else "none"

    def _execute(self, database: str, statements: str) -> None:
        with psycopg.connect(self._dev.server.url(database), autocommit=True, connect_timeout=10) as connection:
            connection.execute(statements.encode())

    def _heading(self, text: str) -> None:
        self._say(f"\n=== {text} ===")

    def _say(self, text: str) -> None:
        with self._printing:
            if self._silent:
                return
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()


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
