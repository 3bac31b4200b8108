"""What bench writes is understood, and what it means is said."""

import pytest

from providers.site.errors import BackupError, CommandError
from providers.site.output import apps_in, backup_paths, exit_words, failure, is_refused, last_words, progress_in
from providers.site.seam import App, Kind, Progress

BAR = "Updating DocTypes for erpnext       : [================                        ] 40%"
SUMMARY = """\
Backup Summary for site1.local at 2021-03-18 15:05:22.123
Config  : ./site1.local/private/backups/20210318_150522-site1_local-site_config_backup.json 96.0B
Database: ./site1.local/private/backups/20210318_150522-site1_local-database-enc.sql.gz     1.2MiB
Public  : ./site1.local/private/backups/20210318_150522-site1_local-files.tgz               10.0KiB
Private : ./site1.local/private/backups/20210318_150522-site1_local-private-files.tgz       3.1 GiB
Backup for Site site1.local has been successfully completed with files
""".splitlines()


@pytest.mark.parametrize(
    ("line", "stage", "percent"),
    [
        (BAR, "Updating DocTypes for erpnext", 40),
        ("Updating Dashboard for frappe: [====] 100%", "Updating Dashboard for frappe", 100),
        ("Updating DocTypes for hrms  : [ ] 0%", "Updating DocTypes for hrms", 0),
        ("Updating country info               : [=] 250%", "Updating country info", 100),
        ("Installing erpnext...", "Installing erpnext", None),
    ],
)
def test_progress_is_read(line: str, stage: str, percent: int | None) -> None:
    assert progress_in("install-app erpnext", line) == Progress(
        doing="install-app erpnext", stage=stage, percent=percent
    )


@pytest.mark.parametrize("line", ["", "*** Scheduler is disabled ***", "WARN: 40% of the disk", "a: [b] 40"])
def test_what_is_no_progress_is_none(line: str) -> None:
    assert progress_in("new-site", line) is None


def test_the_paths_of_a_backup() -> None:
    found = backup_paths(SUMMARY)
    assert set(found) == set(Kind)
    assert found[Kind.DATABASE].endswith("-database-enc.sql.gz")
    assert found[Kind.PRIVATE].endswith("-private-files.tgz")


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (("Database",), "the database"),
        (("Config",), "the configuration"),
        (("Public",), "the public files"),
        (("Public", "Private"), "the public files and the private files"),
    ],
)
def test_a_backup_that_lacks_anything_is_none(lost: tuple[str, ...], words: str) -> None:
    with pytest.raises(BackupError, match=rf"no path of a backup of {words}, so there is none"):
        backup_paths([line for line in SUMMARY if not line.startswith(lost)])


@pytest.mark.parametrize(
    ("said", "apps"),
    [
        (["frappe", "erpnext"], (App(name="frappe"), App(name="erpnext"))),
        (
            ["WARN: bench is old", "frappe  15.40.0 version-15", "erpnext 15.38.1 version-15 (1a2b3c4)"],
            (App(name="frappe", version="15.40.0"), App(name="erpnext", version="15.38.1")),
        ),
        (["", "shop.example", "frappe v16.0.0-dev develop"], (App(name="frappe", version="16.0.0-dev"),)),
    ],
)
def test_the_apps_of_a_site(said: list[str], apps: tuple[App, ...]) -> None:
    assert apps_in(said) == apps


def test_the_last_words_are_one_line_without_bars_and_secrets() -> None:
    said = [BAR, "Warning: Password input may be echoed.", "  File x", "OperationalError: p4ss", BAR]
    assert last_words(said, ["p4ss"]) == "File x OperationalError: [secret]"
    assert len(last_words(["x" * 10_000], [])) == 400


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "exit code 1: backup has failed"),
        (2, "does not take such words for backup"),
        (127, "bench cannot be started"),
        (-9, "ended by SIGKILL"),
        (137, "ended by SIGKILL"),
        (143, "ended by SIGTERM"),
        (255, "ended by signal 127"),
        (77, "exit code 77"),
    ],
)
def test_exit_codes(code: int, words: str) -> None:
    assert words in exit_words("backup", code)


DENIED = "pymysql.err.OperationalError: (1045, \"Access denied for user 'root'@'localhost' (using password: YES)\")"
SOCKET = "pymysql.err.OperationalError: (1698, \"Access denied for user 'root'@'localhost'\")"
POSTGRES = 'psycopg2.OperationalError: FATAL:  password authentication failed for user "root"'
KEY = "Decryption failed. Please provide a valid key and try again."
ASKED = "MySQL root password: "


@pytest.mark.parametrize(
    ("ended", "code", "lines"),
    [
        ("", 1, [DENIED]),
        ("", 1, [SOCKET]),
        ("", 1, [POSTGRES]),
        ("", 1, ["Encrypted backup file detected. Decrypting using site config.", KEY]),
        ("", 2, ["Usage: bench restore [OPTIONS] SQL_FILE_PATH", "Error: No such option: --db-root-username"]),
        ("asked", -15, ["Warning: Password input may be echoed.", ASKED]),
        ("missing", 127, []),
    ],
)
def test_what_is_refused_at_the_door(ended: str, code: int, lines: list[str]) -> None:
    assert is_refused({"ended": ended, "code": code}, lines, "root")


@pytest.mark.parametrize(
    ("ended", "code", "lines"),
    [
        # A dump that names another definer, a root that may not grant, and the site's own user: the old data is gone.
        ("", 1, ["ERROR 1227 (42000) at line 9: Access denied; you need (at least one of) the SUPER privilege(s)"]),
        ("", 1, ["(1044, \"Access denied for user 'root'@'%' to database '_1f3a'\")"]),
        ("", 1, ["ERROR 1045 (28000): Access denied for user '_1f3a'@'10.0.0.9' (using password: YES)"]),
        ("", 1, ["Restoring Database file...", DENIED]),
        ("", 2, ["Restoring Database file...", "tar: Exiting with failure status due to previous errors"]),
        ("", 1, ["OperationalError: (2013, 'Lost connection to MySQL server during query')"]),
        ("", 137, [DENIED]),
        ("time", -15, [DENIED]),
        ("caller", -15, []),
        # The password was told; what it asked for then, nobody knows.
        ("asked", -15, [ASKED, "Administrator's password: "]),
        ("asked", -15, [ASKED, "Continue? [y/N]:"]),
    ],
)
def test_what_may_have_touched_the_site(ended: str, code: int, lines: list[str]) -> None:
    assert not is_refused({"ended": ended, "code": code}, lines, "root")


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ("pymysql.err.OperationalError: (1049, \"Unknown database '_1f3a'\")", True),
        # With its database drop-site takes the site's user away.
        ("(1045, \"Access denied for user '_1f3a'@'localhost' (using password: YES)\")", True),
        ('psycopg2.OperationalError: FATAL:  database "_1f3a" does not exist', True),
        ("(2003, \"Can't connect to MySQL server on 'db'\")", False),
        ("ModuleNotFoundError: No module named 'hrms'", False),
        ("", False),
    ],
)
def test_a_database_that_is_gone_is_told_from_one_that_does_not_answer(said: str, gone: bool) -> None:
    error = failure("it", "list-apps", {"ended": "", "code": 1}, 60, said)
    assert isinstance(error, CommandError)
    assert error.gone is gone
