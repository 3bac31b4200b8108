"""`python -m engine`, ended by SIGKILL at the n-th write of the stack's state.

KILL_AT=MOMENT:N python -m tests.engine.core.killed_cli WORDS...

MOMENT is `before` or `after` the write, or `torn`: half of the bytes are there, not under their name yet. `never:0`
says on standard error how many writes there were.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from engine import secrets
from engine.bucket import FileBucket


def main() -> int:
    from engine.__main__ import run

    moment, _, number = os.environ["KILL_AT"].partition(":")
    write = FileBucket.write
    writes = 0

    def write_and_die(self: FileBucket, key: str, data: bytes, **options: Any) -> None:
        nonlocal writes
        if not {"stacks", "journal"} & {*key.split("/")}:
            write(self, key, data, **options)
            return
        writes += 1
        now = moment if writes == int(number) else ""
        if now == "torn":
            path = self.path(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(f".{path.name}.0123456789ab.tmp").write_bytes(data[: len(data) // 2])
        if now in {"before", "torn"}:
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, key, data, **options)
        if now == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    FileBucket.write = write_and_die  # type: ignore[method-assign]
    secrets.ROUNDS = 1  # type: ignore[misc] # a million are for those who guess passphrases
    code = run()
    if moment == "never":
        sys.stderr.write(f"\n{writes} writes\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
