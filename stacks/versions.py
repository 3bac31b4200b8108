"""Template ids and versions: which are valid, and which of two versions is newer. Pure."""

from __future__ import annotations

import re

import semver

_ID = re.compile(r"^[a-z][a-z0-9-]{0,48}[a-z0-9]$", re.ASCII)


def check_template_id(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("a template's id: 2 to 50 characters a-z, 0-9 and '-', such as standard")
    return value


def check_version(value: object) -> str:
    """A semantic version, as semver.org defines it."""
    if not isinstance(value, str) or len(value) > 64 or not semver.Version.is_valid(value):
        raise ValueError('a semantic version such as "1.0.0"')
    return value


def newest(versions: list[str]) -> str:
    """The newest of at least one version; a pre-release only when there is nothing else."""
    released = [version for version in versions if semver.Version.parse(version).prerelease is None]
    return max(released or versions, key=semver.Version.parse)


def ordered(versions: list[str]) -> list[str]:
    """Oldest first."""
    return sorted(versions, key=semver.Version.parse)
