"""What policies said, as lines. Works from engine events, in which secrets are masked already.

Policies:
    ✗ rules@v1.2.3 (local: policies)
        - [remediate]  owned  (1 resource)
        - [mandatory]  small  (aws:s3/bucket:Bucket: logs)
          Buckets are small.
          size 5 is over 2
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.display_diff import diff_lines
from engine.resource import urn_name, urn_type

Event = Mapping[str, Any]
#: (text, colour), the colour as in an escape sequence, empty for none.
Line = tuple[str, str]

_RED: Final = "31"
_YELLOW: Final = "33"
_GREEN: Final = "32"


class PolicyLog:
    """The violations and corrections of one operation, by pack."""

    def __init__(self) -> None:
        self._violations: list[Event] = []
        self._remediations: list[Event] = []
        self._packs: dict[str, str] = {}
        self._loading = False

    def take(self, event: Event) -> list[Line]:
        """Remembers an event; what is to be shown of it at once."""
        if "policyLoadEvent" in event and not self._loading:
            self._loading = True
            return [("Loading policy packs...", "")]
        if "policyEvent" in event:
            self._violations.append(event["policyEvent"])
        elif "policyRemediationEvent" in event:
            self._remediations.append(event["policyRemediationEvent"])
        elif "summaryEvent" in event:
            self._packs = dict(event["summaryEvent"].get("PolicyPacks") or {})
        return []

    def lines(self, *, detailed: bool) -> Iterator[Line]:
        """The section, empty where no pack was run. `detailed` shows what a correction changed."""
        packs = sorted(_pack(name, version) for name, version in self._packs.items())
        if not packs:
            return
        yield "Policies:", ""
        for pack, place in packs:
            violations = sorted((v for v in self._violations if _pack_of(v) == pack), key=_order)
            remediations = [r for r in self._remediations if _pack_of(r) == pack]
            mark, colour = _verdict(violations)
            yield f"    {mark} {pack}{f' (local: {place})' if place else ''}", colour
            yield from _corrections(remediations, detailed=detailed)
            for violation in violations:
                yield from _violation(violation)


def _pack(name: str, version: str) -> tuple[str, str]:
    """(pack@vVersion, where it is) of a name in the summary, which is `name|local|path`."""
    parts = name.split("|", 2)
    return f"{parts[0]}@v{version}", parts[2] if len(parts) == 3 else ""


def _pack_of(event: Event) -> str:
    return f"{event['policyPackName']}@v{event['policyPackVersion']}"


def _order(event: Event) -> tuple[str, str, str]:
    return event["enforcementLevel"], event["policyName"], event.get("resourceUrn") or ""


def _verdict(violations: list[Event]) -> Line:
    if any(v["enforcementLevel"] == "mandatory" for v in violations):
        return "✗", _RED
    return ("!", _YELLOW) if violations else ("✓", _GREEN)


def _corrections(remediations: list[Event], *, detailed: bool) -> Iterator[Line]:
    if not detailed:
        for policy, count in sorted(Counter(r["policyName"] for r in remediations).items()):
            yield f"        - [remediate]  {policy}  ({count} resource{'' if count == 1 else 's'})", ""
        return
    for remediation in remediations:
        yield f"        - [remediate]  {remediation['policyName']}  ({_resource(remediation)})", ""
        for mark, text in diff_lines(remediation.get("before") or {}, remediation.get("after") or {}):
            yield f"            {mark} {text}", {"+": _GREEN, "-": _RED, "~": _YELLOW}.get(mark, "")


def _violation(violation: Event) -> Iterator[Line]:
    level = violation["enforcementLevel"]
    colour = _RED if level == "mandatory" else _YELLOW
    yield f"        - [{level}]  {violation['policyName']}  ({_resource(violation)})", colour
    for line in violation["message"].rstrip("\n").split("\n"):
        yield f"          {line}".rstrip(), ""


def _resource(event: Event) -> str:
    urn = event.get("resourceUrn")
    return f"{urn_type(urn)}: {urn_name(urn)}" if urn else "the stack"
