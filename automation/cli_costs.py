"""`tenantry cost` and `tenantry purge`: what a tenant costs, and the deletion of data that is too old.

Each prints text for people or one JSON document. Imported only when one of them runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from automation import costs, manifests, purging
from automation.cli_support import Output, print_table, settings_for
from automation.database import engine_for, ensure_ready, transaction
from automation.errors import InputError, NotFoundError


def show_cost(output: Output, tenant: str | None, file: Path | None) -> None:
    """`tenantry cost`."""
    if tenant is None and file is None:
        raise InputError("no tenant given", hint="name a tenant, or a manifest with --file")
    settings = settings_for()
    if file is not None or tenant is None:
        found = costs.before_creation(manifests.load(settings, tenant, file))
    else:
        found = _of(settings, tenant)
    if output.as_json:
        output.document({"type": "cost", **found})
        return
    _say(output, found)


def _of(settings: Any, tenant: str) -> dict[str, Any]:
    ensure_ready(settings)
    try:
        with transaction(engine_for(settings, application="tenantry read"), settings) as connection:
            known = costs.facts(connection, tenant)
    except NotFoundError as unknown:
        return costs.planned(lambda: manifests.load(settings, tenant, None), unknown)
    return costs.cost(known)


def _say(output: Output, found: Mapping[str, Any]) -> None:
    currency = found["currency"]
    if found["month"] is None:
        output.say(f"{found['tenant']} has no settings in force: it costs nothing now")
    else:
        amount = _money(found["month"]["amount"], currency)
        output.say(f"{found['tenant']} costs {amount} in a month of {Decimal(found['month']['hours']):.0f} hours")
        _items(output, found["month"], currency)
    since = found["since"]
    if since is not None:
        begin = f"since {since['from'][:19]}" if since["from"] else "so far"
        output.say(f"{_money(since['amount'], currency)} {begin}")
        _items(output, since, currency)
    for warning in found["warnings"]:
        output.say(f"note: {warning}")


def _items(output: Output, part: Mapping[str, Any], currency: str) -> None:
    rows = [
        (f"  {item['what']}", f"{item['quantity']} {item['unit']}", f"at {item['price']}", item["amount"])
        for item in part["items"]
    ]
    if rows:
        print_table(output, ("  FOR", "QUANTITY", "PRICE", currency), rows)


def _money(amount: str, currency: str) -> str:
    return f"{Decimal(amount).quantize(Decimal('0.01'), rounding=ROUND_HALF_UP)} {currency}"


def purge(output: Output, tenant: str | None, *, dry_run: bool) -> None:
    """`tenantry purge`."""
    settings = settings_for()
    ensure_ready(settings)
    outcomes = purging.purge_now(
        settings, tenant, dry_run=dry_run, tell=lambda slug, why: output.note(f"'{slug}' is left out: {why}")
    )
    if output.as_json:
        rows = [outcome.to_dict() for outcome in outcomes]
        output.document({"type": "purge", "dry_run": dry_run, "tenants": rows})
    elif not outcomes:
        output.say("no tenant has data that is purged by age")
    else:
        _say_purged(output, outcomes, dry_run=dry_run)
    if (error := purging.failed(outcomes)) is not None:
        raise error


def _say_purged(output: Output, outcomes: list[purging.Outcome], *, dry_run: bool) -> None:
    print_table(
        output,
        ("TENANT", "KEEPS", "BEFORE", "WOULD DELETE" if dry_run else "DELETED", "OF", "ENDED"),
        [
            (
                one.tenant,
                one.retention,
                one.cutoff.isoformat(timespec="seconds"),
                str(one.total),
                ", ".join(f"{table} {count}" for table, count in one.rows.items() if count),
                "failed" if one.error else "complete" if one.complete else "out of time",
            )
            for one in outcomes
        ],
    )


def show_purges(output: Output, tenant: str | None, limit: int) -> None:
    """`tenantry purge --list`."""
    settings = settings_for()
    ensure_ready(settings)
    with transaction(engine_for(settings, application="tenantry read"), settings) as connection:
        rows = purging.past(connection, tenant, limit)
    if output.as_json:
        output.document({"type": "purges", "purges": rows})
        return
    print_table(
        output,
        ("ENDED", "TENANT", "KEEPS", "DELETED", "BY", "ERROR"),
        [
            (row["ended_at"][:19], row["tenant"], row["retention"], str(row["total"]), row["actor"], row["error"] or "")
            for row in rows
        ],
    )
