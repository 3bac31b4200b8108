"""Small decisions that all dynamic providers share: what differs, and what a failed check says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pulumi.dynamic import CheckFailure, CheckResult, DiffResult


def differing(olds: Mapping[str, Any], news: Mapping[str, Any], fields: Iterable[str]) -> list[str]:
    """The fields that differ. A missing one equals None: Pulumi does not send inputs that are None."""
    return [field for field in fields if olds.get(field) != news.get(field)]


def diff_of(
    olds: Mapping[str, Any], news: Mapping[str, Any], *, identity: Iterable[str], owned: Iterable[str]
) -> DiffResult:
    """Replace when the identity differs, update when something owned does, nothing otherwise."""
    replaces = differing(olds, news, identity)
    changed = differing(olds, news, owned)
    # Two objects with one natural key cannot live side by side, and one that moves must leave its old place first.
    return DiffResult(changes=bool(replaces or changed), replaces=replaces, delete_before_replace=True)


def altered(before: Any, wanted: Any) -> bool:
    """Whether a value that was given is to be another one. What is not given, or not known yet, is no other."""
    return None not in (before, wanted) and bool(before != wanted)


def required(news: dict[str, Any], fields: Iterable[str]) -> CheckResult:
    """Fails for each of `fields` that is missing or is empty text."""
    failures = [
        CheckFailure(field, f"{field} is required: give a non-empty value")
        for field in fields
        if news.get(field) in (None, "")
    ]
    return CheckResult(news, failures)


def without_nulls(value: Any) -> Any:
    """`value` without the mapping keys that hold null, at any depth: Pulumi may drop those on the way."""
    if isinstance(value, Mapping):
        return {key: without_nulls(child) for key, child in value.items() if child is not None}
    if isinstance(value, (list, tuple)):
        return [without_nulls(child) for child in value]
    return value
