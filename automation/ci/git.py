"""What git says of the folder that the project is in. Only reads; every call has a time limit.

Names of commits come from outside: they never reach git as an option.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from automation.errors import InputError, NotFoundError

_SECONDS = 60
_DEEP = "fetch the whole history (`git fetch --unshallow`; in a workflow: fetch-depth: 0), or name another commit"


class GitError(InputError):
    """git is not there, or refuses."""

    kind = "git"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """The work tree around the project, and the project's `stacks/` as a path within it."""

    root: Path
    folder: str

    @classmethod
    def around(cls, stacks: Path) -> Repository:
        """The repository that `stacks` is in. Raises GitError when it is in none."""
        if not stacks.is_dir():
            raise NotFoundError(f"there is no folder {stacks}", hint="manifests of tenants are in stacks/")
        root = Path(_git(stacks, "rev-parse", "--show-toplevel").removesuffix("\n")).resolve()
        return cls(root=root, folder=stacks.resolve().relative_to(root).as_posix())

    def commit(self, name: str) -> str:
        """The full id of the commit called `name`. Raises GitError when there is none."""
        try:
            return _git(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
        except GitError as error:
            if error.details.get("exit_code") != 1:
                raise
            raise GitError(f"there is no commit '{name}' in {self.root}", hint=_DEEP) from None

    def has(self, name: str) -> bool:
        """Whether there is a commit called `name` here."""
        try:
            self.commit(name)
        except GitError:
            return False
        return True

    def fork_point(self, base: str, head: str) -> str:
        """The newest commit that both have in their histories: what a pull request started from."""
        try:
            return _git(self.root, "merge-base", self.commit(base), self.commit(head)).strip()
        except GitError as error:
            if error.details.get("exit_code") != 1:
                raise
            raise GitError(f"'{base}' and '{head}' have no commit in common here", hint=_DEEP) from None

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `older` is in the history of `newer`; a commit is in its own."""
        try:
            _git(self.root, "merge-base", "--is-ancestor", self.commit(older), self.commit(newer))
        except GitError as error:
            if error.details.get("exit_code") != 1:
                raise
            return False
        return True

    def changed(self, base: str, head: str) -> str:
        """`git diff --name-status -z` of `stacks/` and the `templates/` beside it; renames are removal and addition."""
        templates = (PurePosixPath(self.folder).parent / "templates").as_posix()
        options = ("--name-status", "--no-renames", "--no-ext-diff", "-z")
        return _git(self.root, "diff", *options, self.commit(base), self.commit(head), "--", self.folder, templates)

    def uncommitted(self) -> list[str]:
        """Manifests in the work tree that are not as in HEAD; without the settings that an `up` writes beside them."""
        listed = _git(
            self.root, "status", "--porcelain", "--no-renames", "-z", "--untracked-files=all", "--", self.folder
        )
        paths = [Path(line[3:]) for line in listed.split("\0") if line]
        return [
            str(path) for path in paths if path.suffix == ".yaml" and not path.name.startswith(("Pulumi.", ".Pulumi."))
        ]


def _git(folder: Path, *words: str) -> str:
    environment = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", "-c", "core.quotePath=false", "-c", "core.fsmonitor=false", *words]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, check=False, timeout=_SECONDS, encoding="utf-8"
        )
    except FileNotFoundError:
        raise GitError("there is no `git` on PATH", hint="install git") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"`git {words[0]}` took more than {_SECONDS} s", hint="check the disk, then retry") from None
    except UnicodeDecodeError:
        raise GitError(
            f"`git {words[0]}` names a file in {folder} whose name is not UTF-8", hint="rename that file, and commit"
        ) from None
    if done.returncode != 0:
        reason = done.stderr.strip() or f"it ended with {done.returncode}"
        error = GitError(f"`git {words[0]}` in {folder} failed: {reason}", hint="correct what git complains about")
        error.details["exit_code"] = done.returncode
        raise error
    return done.stdout
