"""Previews and applies what has changed: each tenant in a process of its own, all checked before any is touched.

Decides the order, and what is not begun: with one manifest that is not valid nothing is applied; with one `up` that
failed nothing is destroyed, because a tenant that was renamed is one created and one destroyed. Shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from automation import manifests
from automation.ci.changes import ChangeKind, Changes, TenantChange
from automation.ci.record import living
from automation.errors import CancelledError, InputError, RunLeftError, TenantryError
from automation.fleet import Fleet, FleetResult
from automation.run import Context

Forward = Callable[[Fleet], Any]


class Outcome(StrEnum):
    """What would become, or has become, of a tenant."""

    WOULD_CHANGE = "would change"
    NOTHING = "nothing to change"
    WOULD_REMOVE = "would be destroyed"
    APPLIED = "applied"
    REMOVED = "destroyed"
    KEPT = "kept"
    GONE = "no such tenant"
    INVALID = "not valid"
    NOT_BEGUN = "not begun"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One tenant. `document` is what its command said with --json; `removal` what a destroy would remove."""

    tenant: str
    kind: ChangeKind
    outcome: Outcome
    exit_code: int = 0
    note: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    removal: tuple[str, ...] = ()

    @property
    def error(self) -> Mapping[str, Any]:
        """The error that its command ended with; {} where there is none."""
        return self.document.get("error") or {}

    def to_dict(self) -> dict[str, Any]:
        """As `tenantry ci --json` shows it."""
        return {
            "tenant": self.tenant,
            "change": self.kind.value,
            "outcome": self.outcome.value,
            "exit_code": self.exit_code,
            "note": self.note,
            "removal": list(self.removal),
            "result": dict(self.document) or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of a run. `base` is None where every tenant was looked at."""

    applying: bool
    base: str | None
    head: str
    rows: tuple[Row, ...]
    others: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Row, ...]:
        """The tenants that did not get through."""
        return tuple(row for row in self.rows if row.exit_code)

    def error(self) -> TenantryError | None:
        """What the command ends with: the code that all failures share, else 9."""
        failed = self.failed
        if not failed:
            return None
        codes = {row.exit_code for row in failed}
        names = ", ".join(row.tenant for row in failed)
        text = f"{len(failed)} of {len(self.rows)} tenants: {names}"
        error: TenantryError
        if codes == {InputError.exit_code}:
            error = InputError(f"not valid, or refused: {text}", hint="correct what the report lists")
        elif codes == {CancelledError.exit_code}:
            error = CancelledError(f"cancelled: {text}", hint="run it again: what is done is not done twice")
        else:
            error = RunLeftError(f"did not get through: {text}", hint="the report says why; run it again afterwards")
            error.exit_code = codes.pop() if len(codes) == 1 else RunLeftError.exit_code
        return error

    def to_dict(self) -> dict[str, Any]:
        """The `ci` document of `--json`."""
        return {
            "type": "ci",
            "operation": "apply" if self.applying else "preview",
            "base": self.base,
            "head": self.head,
            "failed": len(self.failed),
            "tenants": [row.to_dict() for row in self.rows],
            "other_files": list(self.others),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`limit`: seconds that one tenant's process may take before it is interrupted, and killed if that is no help."""

    workers: int
    allow_destroy: bool
    limit: float


def preview(context: Context, changes: Changes, options: Options, *, forward: Forward) -> tuple[Row, ...]:
    """What an apply would do. Touches nothing; one tenant that is not valid does not hide the others."""
    wrong = _invalid(context, changes)
    rows = {row.tenant: row for row in wrong}
    rows |= {one.tenant: _removal(context, one, options) for one in changes.tenants if one.kind is ChangeKind.REMOVED}
    rest = [one for one in changes.tenants if one.tenant not in rows]
    for one, result in _fleet(rest, ("preview",), (), options, forward):
        outcome = Outcome.WOULD_CHANGE if result.document.get("changed") else Outcome.NOTHING
        rows[one.tenant] = _row(one, result, outcome)
    return tuple(rows[one.tenant] for one in changes.tenants)


def apply(
    context: Context, changes: Changes, options: Options, *, correlation: str, forward: Forward
) -> tuple[Row, ...]:
    """Brings tenants to their manifests, and after that destroys those whose manifests are gone, where allowed."""
    wrong = _invalid(context, changes)
    if wrong:
        known = {row.tenant: row for row in wrong}
        note = "nothing was touched: another manifest is not valid"
        return tuple(
            known.get(one.tenant) or Row(tenant=one.tenant, kind=one.kind, outcome=Outcome.NOT_BEGUN, note=note)
            for one in changes.tenants
        )
    words = ("--correlation-id", correlation)
    ups = [one for one in changes.tenants if one.kind is not ChangeKind.REMOVED]
    rows: dict[str, Row] = {}
    for one, result in _fleet(ups, ("up",), words, options, forward):
        outcome = Outcome.APPLIED if result.document.get("changed") else Outcome.NOTHING
        rows[one.tenant] = _row(one, result, outcome)
    through = not any(row.exit_code for row in rows.values())
    removals = [_removal(context, one, options) for one in changes.tenants if one.kind is ChangeKind.REMOVED]
    kept = "kept, because another tenant failed: a tenant that was renamed is one created and one destroyed"
    for row in removals:
        waits = row.outcome is Outcome.WOULD_REMOVE and not through
        rows[row.tenant] = replace(row, outcome=Outcome.KEPT, note=kept) if waits else row
    doomed = [one for one in changes.tenants if rows[one.tenant].outcome is Outcome.WOULD_REMOVE]
    for one, result in _fleet(doomed, ("destroy", "--yes"), words, options, forward):
        rows[one.tenant] = _row(one, result, Outcome.REMOVED)
    return tuple(rows[one.tenant] for one in changes.tenants)


def _invalid(context: Context, changes: Changes) -> list[Row]:
    rows = []
    for one in changes.tenants:
        if one.kind is ChangeKind.REMOVED:
            continue
        try:
            manifests.resolved(manifests.load(context.settings, one.tenant, None), None)
        except InputError as error:
            document = {"type": "error", "error": error.to_dict()}
            rows.append(
                Row(
                    tenant=one.tenant,
                    kind=one.kind,
                    outcome=Outcome.INVALID,
                    exit_code=error.exit_code,
                    note=error.message,
                    document=document,
                )
            )
    return rows


def _removal(context: Context, one: TenantChange, options: Options) -> Row:
    blank = Row(tenant=one.tenant, kind=one.kind, outcome=Outcome.GONE)
    try:
        there = _resources(context, one.tenant)
        known = there or living(context.settings, (one.tenant,))
    except TenantryError as error:
        document = {"type": "error", "error": error.to_dict()}
        return replace(blank, outcome=Outcome.FAILED, exit_code=error.exit_code, note=error.message, document=document)
    if not known:
        return replace(blank, note="its manifest is gone, and there is no such tenant")
    if options.allow_destroy:
        return replace(blank, outcome=Outcome.WOULD_REMOVE, note="with its database and all data in it", removal=there)
    note = f"its manifest is gone; --allow-destroy, or `tenantry destroy {one.tenant}`, removes it"
    return replace(blank, outcome=Outcome.KEPT, note=note, removal=there)


def _resources(context: Context, tenant: str) -> tuple[str, ...]:
    with context.stacks(context.settings, tenant, context.choice) as stack:
        if not stack.exists():
            return ()
        resources = stack.export().get("resources") or []
    named = [str(one["urn"]).split("::", 2)[-1] for one in resources if one.get("custom")]
    return tuple(
        f"{kind.rsplit('$', 1)[-1].rsplit(':', 1)[-1]} {name}"
        for kind, _, name in (text.partition("::") for text in named)
        if not kind.rsplit("$", 1)[-1].startswith("pulumi:providers:")
    )


def _fleet(
    changes: Sequence[TenantChange],
    command: tuple[str, ...],
    words: tuple[str, ...],
    options: Options,
    forward: Forward,
) -> list[tuple[TenantChange, FleetResult]]:
    if not changes:
        return []
    fleet = Fleet(
        lambda tenant: ["-m", "automation", command[0], tenant, *command[1:], *words, "--jsonl"],
        workers=options.workers,
        on_line=lambda _tenant, _content: None,
        limit=options.limit,
    )
    with forward(fleet):
        results = fleet.run([one.tenant for one in changes])
    return list(zip(changes, results, strict=True))


def _row(one: TenantChange, result: FleetResult, outcome: Outcome) -> Row:
    return Row(
        tenant=one.tenant,
        kind=one.kind,
        outcome=outcome if result.exit_code == 0 else Outcome.FAILED,
        exit_code=result.exit_code,
        note=result.message,
        document=result.document,
    )
