"""The process of one attempt at a job: `python -m automation.jobs.run JOB ATTEMPT`, started by a worker.

Reads the job, runs its operation, and prints one JSON document: a result, a preview or an error, as `--json` does. The
exit code is the command line's; ATTEMPT_LOST means that the attempt is not this process's any more. It writes nothing
to the job's row: whether and how the job ends is the worker's decision. SIGTERM cancels, and so does the end of
standard input, by which a worker that is gone is noticed.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from automation.errors import CancelledError, TenantryError
from automation.redaction import redactor, secret_values
from automation.settings import Settings, load_settings

if TYPE_CHECKING:
    from automation.jobs.work import Work
    from automation.supervision import CancelRequests

ATTEMPT_LOST = 75
LOST = "lost"
"""The type of the document that goes with it."""
_PARENT_GRACES = 4
_USAGE = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the attempt. Returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if len(words) != 2:
        sys.stderr.write("usage: python -m automation.jobs.run JOB ATTEMPT, with the worker's end of a pipe as stdin\n")
        return _USAGE
    # A life of seconds: collecting garbage would only go through what has been loaded, again and again.
    gc.disable()
    answer = _own_stdout()
    from automation.supervision import CancelRequests

    cancel = CancelRequests()
    with cancel.listening():
        # The worker has started us with it blocked: one that came before now would have ended us without a word.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
        code, document = _explained(lambda: _attempt(uuid.UUID(words[0]), int(words[1]), cancel))
        answer.write(json.dumps(document, ensure_ascii=False, default=str) + "\n")
        answer.close()
    sys.stderr.flush()
    # Not by returning: a thread that hangs in the engine would keep the process, and all that could be saved is saved.
    if document.get("error") and document["error"]["details"].get("stuck"):
        os._exit(code)
    gc.freeze()
    return code


def _own_stdout() -> IO[str]:
    """The answer's way out. Whatever else prints, prints to standard error."""
    mine = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(mine, "w", encoding="utf-8")


def _explained(attempt: Callable[[], tuple[int, dict[str, Any]]]) -> tuple[int, dict[str, Any]]:
    """Every error as a document. What nobody expected goes to standard error with its place, secrets masked."""
    try:
        return attempt()
    except TenantryError as error:
        return error.exit_code, {"type": "error", "error": error.to_dict()}
    except Exception as error:  # noqa: BLE001 - the last line of defence: a document and not a dead process
        redact = redactor(secret_values(os.environ))
        sys.stderr.write(redact(traceback.format_exc()))
        told = TenantryError(
            f"unexpected fault: {type(error).__name__}: {redact(str(error))}", hint="the worker's log shows where"
        )
        return told.exit_code, {"type": "error", "error": told.to_dict()}


def _attempt(job: uuid.UUID, attempt: int, cancel: CancelRequests) -> tuple[int, dict[str, Any]]:
    settings = load_settings()
    _follow_parent(settings, cancel)
    from automation.jobs import cancelling, work

    found = work.read(settings, job, attempt)
    if found is None:
        return ATTEMPT_LOST, {"type": LOST}
    os.environ["TENANTRY_JOB"] = str(job)
    os.environ["TENANTRY_JOB_ATTEMPT"] = str(attempt)
    os.environ["TENANTRY_ACTOR"] = found.job.actor
    os.environ["TENANTRY_CORRELATION_ID"] = found.job.correlation_id
    if found.recorded is not None:
        error = found.recorded["error"]
        return (error["exit_code"] if error else 0), found.recorded
    if cancel.count:
        raise CancelledError(f"{found.job.operation} of '{found.job.tenant}' was {cancelling.BEFORE}")
    return _run(settings, found, cancel)


def _run(settings: Settings, found: Work, cancel: CancelRequests) -> tuple[int, dict[str, Any]]:
    from automation import counting
    from automation.engines import choose, prepare
    from automation.jobs import work

    work.demand_begin(found)
    choice = choose(settings.engine)
    counting.begin()
    prepare(choice, {**os.environ, **settings.run_environment()})
    # Late: what follows takes as long to load as the plugins to start.
    from automation.jobs.operation_log import begin
    from automation.run import Context

    context = Context(settings=settings, choice=choice, cancel=cancel)
    job = found.job
    log = begin(
        operation=job.operation.value, engine=choice.name, job=str(job.id), tenant=job.tenant, attempt=job.attempts
    )
    if log is not None:
        context = replace(context, observer=log, heard=log.heard)
    result = work.run(context, found)
    error = getattr(result, "error", None)
    return (error.exit_code if error is not None else 0), result.to_dict()


def _follow_parent(settings: Settings, cancel: CancelRequests) -> None:
    """Stops when the worker is gone: another one continues as soon as the lease has run out."""

    def follow() -> None:
        while os.read(0, 1024):
            pass
        cancel.request()
        # Interrupting, twice, and killing each have their grace; after that nobody needs us any more.
        time.sleep(_PARENT_GRACES * settings.cancel_grace)
        os._exit(CancelledError.exit_code)

    threading.Thread(target=follow, name="worker-watch", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
