"""A `bench` as facts/erpnext.md ("Site lifecycle") has it, over folders: each rule names its line there.

Its "database server" is the folder `databases` of the bench: a file for each database, `root` in it the password. What
the facts do not say is Frappe's own (sources of versions 12 to 15): what asks for a password reads it from standard
input, where there is no terminal; a progress bar is redrawn after a carriage return.

`faults.json` in the bench says what goes wrong, by command: {"new-site": {"after": "database", "exit": 1}}. `calls` has
a line for each command that was run: its arguments and its process. It is started hundreds of times: what one command
needs, that one imports.
"""

import json
import os
import sys
from pathlib import Path

VERSIONS = {"frappe": "15.40.0", "erpnext": "15.38.1", "hrms": "15.20.0"}


class Bench:
    def __init__(self, words):
        self.home = Path.cwd()
        self.sites, self.databases = self.home / "sites", self.home / "databases"
        self.words, self.site = list(words), None
        if self.words[:1] == ["--site"]:
            self.site = self.words[1]
            self.words = self.words[2:]
        self.command, self.arguments = self.words[0], self.words[1:]
        faults = json.loads((self.home / "faults.json").read_text()) if (self.home / "faults.json").exists() else {}
        self.fault = faults.get(self.command) or {}

    def option(self, name):
        return self.arguments[self.arguments.index(name) + 1] if name in self.arguments else None

    def at(self, stage):
        """Goes wrong here, where it is asked to."""
        if self.fault.get("after") != stage:
            return
        if "sleep" in self.fault:
            import signal
            import subprocess

            # A child of its own, as bench has: both have to end.
            child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({self.fault['sleep']})"])
            (self.home / "hanging").write_text(f"{os.getpid()} {child.pid}")
            if self.fault.get("deaf"):
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            child.wait()
        print(self.fault.get("say", f"Traceback (most recent call last): something went wrong after {stage}"))
        sys.stdout.flush()
        if "signal" in self.fault:
            os.kill(os.getpid(), self.fault["signal"])
        sys.exit(self.fault.get("exit", 1))

    # ------------------------------------------------------------------ the database server

    def root(self):
        """Asks for the password where its own configuration has none, and refuses a wrong one."""
        kept = json.loads((self.sites / "common_site_config.json").read_text()).get("root_password")
        given = self.option("--db-root-password") or kept or asked("MySQL root password: ")
        if given != (self.databases / "root").read_text():
            print(f"Access denied for user 'root'@'localhost' (using password: {given})")
            sys.exit(1)

    def config(self, site=None):
        path = self.sites / (site or self.site) / "site_config.json"
        if not path.exists():
            print(f"Site {site or self.site} does not exist")
            sys.exit(1)
        return json.loads(path.read_text())

    def data(self, site=None):
        path = self.databases / self.config(site)["db_name"]
        if not path.exists():
            print("pymysql.err.OperationalError: (1049, Unknown database)")
            sys.exit(1)
        return path, json.loads(path.read_text())

    # ------------------------------------------------------------------ commands

    def new_site(self):
        import hashlib
        import random
        import string

        site = self.arguments[0]
        folder = self.sites / site
        # "an existing folder exits 1"
        if folder.exists() and "--force" not in self.arguments:
            print(f"Site {site} already exists")
            sys.exit(1)
        for part in ("private/backups", "private/files", "public/files", "locks"):
            (folder / part).mkdir(parents=True)
        (folder / "locks" / "installing.lock").touch()
        self.at("folder")
        name = self.option("--db-name") or f"_{hashlib.sha1(site.encode()).hexdigest()[:16]}"
        letters = "".join(random.choices(string.ascii_letters, k=16))
        (folder / "site_config.json").write_text(json.dumps({"db_name": name, "db_password": letters}))
        self.at("config")
        self.root()
        database = self.databases / name
        if database.exists():
            print(f"Database {name} already exists")
            sys.exit(1)
        database.write_text(json.dumps({"user": name, "apps": [], "rows": {}}))
        self.at("database")
        admin = self.option("--admin-password")
        while not admin:
            first, second = asked("Set Administrator password: "), asked("Re-enter Administrator password: ")
            admin = first if first == second else None
        print("\nInstalling frappe...")
        bars("frappe")
        self.at("frappe")
        digest = hashlib.sha256(admin.encode()).hexdigest()
        database.write_text(json.dumps({"user": name, "apps": ["frappe"], "rows": {}, "admin": digest}))
        (folder / "locks" / "installing.lock").unlink()
        print("*** Scheduler is disabled ***")
        # "a failure does not undo what was made"
        self.at("all")

    def install_app(self):
        path, data = self.data()
        app = self.arguments[0]
        # "install-app: 0 or 1"
        if app not in VERSIONS:
            print(f"App {app} not in apps.txt")
            sys.exit(1)
        if app in data["apps"] and "--force" not in self.arguments:
            print(f"App {app} already installed")
            return
        print(f"\nInstalling {app}...")
        # A bar that is being drawn has no end of line yet.
        print(f"\rUpdating DocTypes for {app:<14}: [{'=' * 16:<40}] 40%", end="", flush=True)
        self.at("half")
        bars(app)
        path.write_text(json.dumps({**data, "apps": [*(a for a in data["apps"] if a != app), app]}))
        self.at("listed")
        path.write_text(json.dumps({**json.loads(path.read_text()), f"finished {app}": True}))

    def set_admin_password(self):
        """A line of Frappe's: `while not password: getpass("Administrator's password for SITE: ")`, then it is kept."""
        import hashlib

        path, data = self.data()
        password = self.arguments[0] or asked(f"Administrator's password for {self.site}: ")
        self.at("asked")
        path.write_text(json.dumps({**data, "admin": hashlib.sha256(password.encode()).hexdigest()}))

    def list_apps(self):
        self.at("start")
        _, data = self.data()
        print("WARN: a newer version of bench is there")
        for app in data["apps"]:
            print(f"{app:<8} {VERSIONS[app]} version-15")

    def backup(self):
        import gzip
        import tarfile
        import time

        _, data = self.data()
        self.at("start")
        stem = f"{time.strftime('%Y%m%d_%H%M%S')}-{self.site.replace('.', '_')}"
        folder = self.sites / self.site / "private" / "backups"
        key = self.config().get("backup_encryption_key")
        config = folder / f"{stem}-site_config_backup.json"
        database = folder / f"{stem}-database{'-enc' if key else ''}.sql.gz"
        config.write_text(json.dumps(self.config()))
        # Its own lines come first, then the dump is appended: an archive of two parts.
        dump = gzip.compress(b"\n") + gzip.compress(json.dumps(data).encode())
        # "encrypted by the key in the site's configuration"
        database.write_bytes(cipher(key) + dump if key else dump)
        rows = {"Config": config, "Database": database}
        if "--with-files" in self.arguments:
            for title, part, name in (
                ("Public", "public/files", "files"),
                ("Private", "private/files", "private-files"),
            ):
                rows[title] = folder / f"{stem}-{name}.tar"
                with tarfile.open(rows[title], "w") as tar:
                    for path in sorted((self.sites / self.site / part).iterdir()):
                        tar.add(path, path.name)
        self.at("written")
        for title, length in self.fault.get("cut", {}).items():
            os.truncate(rows[title], length)
        # Where one of the two could not be packed, the summary has neither, and all ends well.
        for title in self.fault.get("lacks", ()):
            del rows[title]
        # "prints the paths"
        print(f"Backup Summary for {self.site} at 2026-11-22 02:00:00.000000")
        for title, path in rows.items():
            print(f"{title:<8}: ./{path.relative_to(self.sites)} {path.stat().st_size / 1024:.1f}KiB")
        print(f"Backup for Site {self.site} has been successfully completed with files")

    def restore(self):
        import gzip
        import tarfile

        path, _ = self.data()
        self.at("door")
        dump = Path(self.arguments[0]).read_bytes()
        if not dump.startswith(b"\x1f\x8b"):
            print("Encrypted backup file detected. Decrypting using site config.")
            start = cipher(self.config().get("backup_encryption_key", "one made just now"))
            if not dump.startswith(start):
                print("Decryption failed. Please provide a valid key and try again.")
                sys.exit(1)
            dump = dump[len(start) :]
        self.root()
        print("Restoring Database file...")
        # It is made anew first: cut off here, there are no tables in it.
        path.write_text("{}")
        self.at("start")
        path.write_text(gzip.decompress(dump).decode())
        for option, part in (("--with-public-files", "public/files"), ("--with-private-files", "private/files")):
            if given := self.option(option):
                with tarfile.open(given) as tar:
                    tar.extractall(self.sites / self.site / part, filter="data")
        self.at("all")

    def migrate(self):
        self.at("door")
        path, data = self.data()
        path.write_text(json.dumps({**data, "migrated": True}))

    def drop_site(self):
        import shutil

        site = self.arguments[0]
        if "--no-backup" not in self.arguments:
            sys.exit("a backup of bench's own was not wanted")
        name = self.config(site)["db_name"]
        self.at("start")
        self.root()
        print("Dropping site database and user")
        # "drops database and user"
        (self.databases / name).unlink(missing_ok=True)
        self.at("dropped")
        # "and moves the folder to archived/sites"
        archived = self.home / "archived" / "sites"
        archived.mkdir(parents=True, exist_ok=True)
        final, count = archived / site, 0
        while final.exists():
            count += 1
            final = archived / f"{site}{count}"
        shutil.move(self.sites / site, final)
        self.at("moved")


def cipher(key):
    """What an encrypted dump begins with here: only its key can tell."""
    import hashlib

    return b"\x8c" + hashlib.sha256(key.encode()).digest()


def asked(prompt):
    """As Frappe asks. Without a terminal, getpass warns, and reads standard input."""
    import getpass
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return getpass.getpass(prompt)


def bars(app):
    for title in ("DocTypes", "Dashboard"):
        for done in (0, 50, 100):
            print(
                f"\rUpdating {title + ' for ' + app:<28}: [{'=' * (done * 40 // 100):<40}] {done}%", end="", flush=True
            )
        print()


def main():
    bench = Bench(sys.argv[1:])
    with (bench.home / "calls").open("a") as calls:
        # What anybody on the machine can see of it.
        environ = Path(f"/proc/{os.getpid()}/environ").read_text()
        calls.write(json.dumps({"argv": sys.argv[1:], "pid": os.getpid(), "environ": environ}) + "\n")
    try:
        getattr(bench, bench.command.replace("-", "_"))()
    except EOFError:
        print("EOF when reading a line")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
