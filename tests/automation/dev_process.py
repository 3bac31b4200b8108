"""`tenantry dev` as a process, for tests that use it as its user does."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox import postgres
from tests.automation.helpers import ROOT

_STARTED = re.compile(r"open +(http://\S+)/sign-in#token=.*?token +(\S+) ", re.DOTALL)


class Running:
    """A `tenantry dev` that has said where it is."""

    def __init__(self, project: Path, folder: Path, *words: str, source: Path = ROOT) -> None:
        """In the folder `project`, of the code in `source`, with `words`. `folder` is where it keeps all."""
        self.folder = folder
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("DB_", "PG", "PULUMI_", "TENANTRY_"))}
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, [str(source), os.environ.get("PYTHONPATH", "")]))}
        self.environment = environment
        self.project = project
        self.url = self.token = ""
        self.said = project.parent / "said"
        with self.said.open("w") as file:
            self.process = subprocess.Popen(self.command("--no-open", *words), stdout=file, **self.options())

    def command(self, *words: str) -> list[str]:
        where = () if self.folder == self.project / ".tenantry" / "dev" else ("--dir", str(self.folder))
        return [sys.executable, "-m", "automation", "dev", *where, *words]

    def options(self) -> dict[str, Any]:
        where = {"cwd": self.project, "env": self.environment, "stdin": subprocess.DEVNULL}
        return {**where, "stderr": subprocess.STDOUT, "start_new_session": True}

    def again(self, *words: str) -> tuple[int, str]:
        """Another one on the same folder, to its end."""
        command = self.command(*words)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120, check=False, **self.options())
        return done.returncode, done.stdout

    def children(self) -> dict[int, str]:
        """The service and the worker, by process id."""
        pids = (Path("/proc") / str(self.process.pid) / "task" / str(self.process.pid) / "children").read_text().split()
        lines = {int(pid): (Path("/proc") / pid / "cmdline").read_text().replace("\0", " ") for pid in pids}
        # Servers of the sandbox are children, too, until it ends: they go on as PostgreSQL does.
        ours = {pid: line for pid, line in lines.items() if " -m sandbox." not in line}
        return {pid: word for pid, line in ours.items() for word in ("serve", "worker") if f" {word} " in line}

    def end(self, *signals: signal.Signals) -> str:
        for number in signals:
            self.process.send_signal(number)
        self.process.wait(timeout=120)
        return self.said.read_text()

    def started(self) -> tuple[str, str]:
        """Its URL and token, once it has said them."""
        until = time.monotonic() + 150
        while time.monotonic() < until and self.process.poll() is None:
            text = self.said.read_text()
            if (found := _STARTED.search(text)) is not None and "Ctrl-C stops" in text:
                return found[1], found[2]
            time.sleep(0.1)
        logs = "\n".join(path.read_text()[-2000:] for path in self.folder.glob("*.log"))
        raise AssertionError(f"{self.said.read_text()}\n{logs}")


@contextlib.contextmanager
def running_in(project: Path, folder: Path, *, source: Path = ROOT) -> Iterator[Running]:
    """One that is ready, and ended with its server afterwards, whatever has become of it."""
    made = Running(project, folder, source=source)
    try:
        made.url, made.token = made.started()
        yield made
    finally:
        if made.process.poll() is None:
            made.end(signal.SIGINT, signal.SIGINT)
        postgres.remove(folder / "postgres")
