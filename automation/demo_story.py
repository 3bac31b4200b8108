"""How the demo tells: what is asked of the API, what becomes of it, and Ctrl-C.

Decides how a line looks. What is told is decided in `demo` and `demo_department`.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from types import FrameType
from typing import Any

from automation.demo_client import Client, DemoError
from automation.dev import Dev
from automation.display import duration

_MARKS = {"completed": "✓", "failed": "✗", "rolled_back": "↩", "skipped": "-"}


class Story:
    """Tells of the servers of `dev`."""

    def __init__(self, dev: Dev) -> None:
        self.dev = dev
        self.client: Client | None = None
        self._printing = threading.Lock()
        self._silent = False

    @property
    def api(self) -> Client:
        """The API. Raises DemoError before it has been started."""
        if self.client is None:
            raise DemoError("the demo's service has not been started")
        return self.client

    def submit(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, note: str = ""
    ) -> dict[str, Any]:
        """Asks for a job, and tells so."""
        job: dict[str, Any] = self.api.call(method, path, body, expected=202)
        shown = f" {{slug: {note}, ...}}" if note else (" {...}" if body else "")
        self.say(f"$ {method} /api/v1{path}{shown}  ->  202, job {job['id'][:8]}")
        return job

    def watch(self, *jobs: Mapping[str, Any], expected: str = "succeeded", brief: bool = False) -> list[dict[str, Any]]:
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
            future.set_result(self.follow(job, brief=brief))
        except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)

    def follow(self, job: Mapping[str, Any], *, brief: bool) -> dict[str, Any]:
        """Tells the events of a job until it has ended. Returns it."""
        told: dict[str, str] = {}
        for event in self.api.follow(job["id"]):
            # A step's other news, such as how long it took, is for those who show a table.
            if event.kind == "step" and not brief and told.get(event.data["key"]) != event.data["status"]:
                told[event.data["key"]] = event.data["status"]
                self._tell_step(job["tenant"], event.data)
        ended: dict[str, Any] = self.api.call("GET", f"/jobs/{job['id']}", expected=200)
        words = ended["status"].replace("_", " ")
        self.say(f"  {job['tenant']}: {job['operation']} {words} in {duration(ended['duration_ms'])}")
        return ended

    def _tell_step(self, tenant: str, step: Mapping[str, Any]) -> None:
        if (mark := _MARKS.get(step["status"])) is not None:
            why = f": {step['error']}" if step["status"] == "failed" else ""
            self.say(f"  {tenant}: {mark} {step['title']}{why}")

    def expect_nothing(self, job: Mapping[str, Any]) -> None:
        """Raises DemoError where a job has changed something."""
        if job["result"]["changed"]:
            raise DemoError(f"job {job['id']} changed something where there was nothing to change")
        self.say("  nothing to change")

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Says that it stops, since that may take a moment; another Ctrl-C then does not wait."""
        try:
            yield
        except KeyboardInterrupt:
            self.say("\nstopping: what runs is finished, or given back; Ctrl-C again does not wait")
            self._silent = True
            if threading.current_thread() is threading.main_thread():
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, self._hurry)
            raise

    def _hurry(self, _number: int, _frame: FrameType | None) -> None:
        self.dev.hurried = True

    def heading(self, text: str) -> None:
        """Begins a chapter."""
        self.say(f"\n=== {text} ===")

    def say(self, text: str) -> None:
        """Prints a line; nothing any more once it was told to stop."""
        with self._printing:
            if self._silent:
                return
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
