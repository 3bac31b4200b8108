"""What an optional resource does that fails: it records that it is not ready and why, and never fails its run.

By that it differs from its inputs, so that the next up tries again (see "Severity on a declarative graph").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from providers.errors import ProviderError


def tried(
    olds: Mapping[str, Any], news: Mapping[str, Any], work: Callable[[], Mapping[str, Any]], *, known: Iterable[str]
) -> dict[str, Any]:
    """The outputs after `work`. Of an optional resource that failed, `known` are as they were before.

    `asked` stays in them once its making was asked for and the answer lost: what is found later came of that.
    """
    try:
        return {**news, **work(), "ready": True, "reason": ""}
    except ProviderError as error:
        if not news.get("optional"):
            raise
        asked = {"asked": True} if error.asked or olds.get("asked") else {}
        return {**news, **{name: olds.get(name) for name in known}, **asked, "ready": False, "reason": str(error)}
