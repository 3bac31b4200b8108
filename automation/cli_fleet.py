"""`tenantry up` for many tenants: a row per tenant while they run, one table at the end.

Decides how the fleet looks and which exit code it has. Running is `fleet`'s.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

from automation import manifests
from automation.cli_support import Output, settings_for
from automation.database import ensure_ready
from automation.display import duration, table_lines
from automation.engines import choose
from automation.errors import CancelledError, InputError, RunLeftError, TenantryError
from automation.fleet import Fleet, FleetResult

if TYPE_CHECKING:
    from rich.console import RenderableType


def up_many(
    output: Output, names: Sequence[str], *, workers: int, rollback: bool | None, new: bool, expect: bool
) -> None:
    """Runs `up` for each tenant. Raises when any of them failed."""
    settings = settings_for()
    tenants = list(dict.fromkeys(names)) or manifests.tenants_with_manifest(settings)
    if not tenants:
        raise InputError(f"there are no manifests in {settings.stacks_dir}", hint="write stacks/SLUG.yaml first")
    # Everything is validated before anything is touched (CORE-7): one wrong manifest stops them all.
    for tenant in tenants:
        manifests.resolved(manifests.load(settings, tenant, None), None)
    choice = choose(settings.engine)
    settings.run_environment()
    ensure_ready(settings)
    output.note(f"engine: {choice.name} ({choice.reason}); {len(tenants)} tenants, {workers} at a time")
    options = [
        *(["--new"] if new else []),
        *(["--expect-no-changes"] if expect else []),
        *([] if rollback is None else ["--rollback" if rollback else "--no-rollback"]),
    ]
    board = _Board(output, tenants)
    fleet = Fleet(
        lambda tenant: ["-m", "automation", "up", tenant, "--jsonl", *options], workers=workers, on_line=board.line
    )
    with forwarding(fleet), board.live():
        results = fleet.run(tenants)
    _summarise(output, results)


@contextlib.contextmanager
def forwarding(fleet: Fleet) -> Iterator[None]:
    """While in the block, Ctrl-C and SIGTERM go to the fleet's processes."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        # Not in the handler itself: it may interrupt the very thread that holds the fleet's lock.
        threading.Thread(target=fleet.cancel, daemon=True).start()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _summarise(output: Output, results: Sequence[FleetResult]) -> None:
    failed = [result for result in results if result.exit_code != 0]
    if output.as_json:
        rows = [
            {"tenant": one.tenant, "exit_code": one.exit_code, "duration_ms": one.duration_ms, "result": one.document}
            for one in results
        ]
        output.document({"type": "fleet", "failed": len(failed), "tenants": rows})
    else:
        header = ("TENANT", "OUTCOME", "TIME", "CHANGED", "MESSAGE")
        lines = table_lines(header, [_row(one) for one in results])
        for line in lines:
            output.say(line)
    if failed:
        raise _failure(failed, len(results))


def _row(result: FleetResult) -> tuple[str, str, str, str, str]:
    changed = result.document.get("changed")
    said = "" if changed is None else ("yes" if changed else "no")
    return result.tenant, result.status.replace("_", " "), duration(result.duration_ms), said, result.message


def _failure(failed: Sequence[FleetResult], total: int) -> TenantryError:
    names = ", ".join(result.tenant for result in failed)
    codes = {result.exit_code for result in failed}
    kind = CancelledError if codes == {130} else RunLeftError
    error = kind(f"{len(failed)} of {total} tenants failed: {names}", hint="`tenantry show TENANT` tells why")
    if len(codes) == 1:
        error.exit_code = codes.pop()
    return error


class _Board:
    """What is known of each tenant while the fleet runs."""

    def __init__(self, output: Output, tenants: Sequence[str]) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[int, str, str]] = dict.fromkeys(tenants, (0, "waiting", ""))

    def line(self, tenant: str, content: dict[str, Any]) -> None:
        """Takes a JSON line of a worker."""
        with self._lock:
            progress, _status, step = self._rows[tenant]
            if content["type"] == "progress":
                running = [row["title"] for row in content["steps"] if row["status"] == "running"]
                phase = "running" if content["phase"] == "forward" else "rolling back"
                self._rows[tenant] = (max(progress, content["progress"]), phase, running[-1] if running else step)
            elif content["type"] in {"result", "error"}:
                error = content.get("error") or {}
                outcome = str(content.get("status") or error.get("kind", "failed")).replace("_", " ")
                self._rows[tenant] = (content.get("progress", progress), outcome, "")
        if self._output.as_lines:
            self._output.document({"tenant": tenant, **content})
        elif content["type"] == "result" and not sys.stderr.isatty():
            self._output.note(f"{tenant}: {content['status'].replace('_', ' ')} in {duration(content['duration_ms'])}")

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Shows the board on a terminal while in the block."""
        if self._output.as_json or self._output.quiet or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.live import Live

        with Live(get_renderable=self._render, console=Console(stderr=True), refresh_per_second=8, transient=True):
            yield

    def _render(self) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, show_header=False, pad_edge=False)
        with self._lock:
            rows = dict(self._rows)
        for tenant, (progress, status, step) in rows.items():
            table.add_row(Text(tenant), f"{progress} %", Text(status), Text(step))
        return table
