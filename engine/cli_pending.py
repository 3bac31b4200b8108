"""What `refresh` is told, or asks, about creations that were interrupted: nobody else can know what became of them."""

from __future__ import annotations

from dataclasses import replace

from engine.arguments import Arguments
from engine.errors import UsageError
from engine.workspace import Context


def pairs(arguments: Arguments) -> tuple[tuple[str, str], ...]:
    """The (URN, id) of `--import-pending-creates`, given as URN, id, URN, id. Raises UsageError for an odd number."""
    words = arguments.many("import-pending-creates")
    if len(words) % 2:
        raise UsageError("each URN must be followed by an ID: found an odd number of entries")
    return tuple(zip(words[::2], words[1::2], strict=True))


def settle(context: Context) -> None:
    """Checks what is said of them; asks, where somebody is there to answer, about those that nothing is said of."""
    arguments = context.arguments
    if arguments.flag("skip-pending-creates") and arguments.flag("clear-pending-creates"):
        raise UsageError("cannot set both --skip-pending-creates and --clear-pending-creates")
    said = {urn for urn, _ in pairs(arguments)}
    silent = arguments.flag("skip-pending-creates") or arguments.flag("clear-pending-creates")
    if silent or not context.streams.interactive or arguments.flag("yes"):
        return
    pending = [p.resource.urn for p in context.stack().load().pending if p.type == "creating"]
    found, forgotten = list(arguments.many("import-pending-creates")), list[str]()
    for urn in pending:
        if urn in said:
            continue
        answer = _ask(context, urn)
        if answer == "clear":
            forgotten.append(urn)
        elif answer == "import":
            found += [urn, context.ask("ID: ")]
    values = {**arguments.values, "import-pending-creates": tuple(found), "forget-pending-creates": tuple(forgotten)}
    context.arguments = replace(arguments, values=values)


def _ask(context: Context, urn: str) -> str:
    context.say(f"Options for pending CREATE of {urn}")
    context.say("  clear (the CREATE failed; remove the pending CREATE)")
    context.say("  skip (do nothing)")
    context.say("  import (the CREATE succeeded; provide a resource ID and complete the CREATE operation)")
    while True:
        answer = context.ask("clear, skip or import? ").lower()
        if answer in {"clear", "skip", "import"}:
            return answer
        if not answer:
            return "skip"
