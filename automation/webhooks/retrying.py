"""What follows one try of a delivery. Pure: no I/O, no clock, no chance of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from automation.models_jobs import DeliveryStatus
from automation.webhooks.sending import Answer

JITTER = 0.2
"""A delay is up to this part longer or shorter: receivers that came back are not met by everything at once."""
LONGEST_RETRY_AFTER = 3600.0
GONE = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """PENDING: again after `delay` seconds. FAILED with `gone`: the receiver said that it will never take any again."""

    status: DeliveryStatus
    delay: float = 0
    gone: bool = False


def verdict(answer: Answer, *, tries: int, delays: Sequence[float], chance: float, once: bool = False) -> Verdict:
    """After `tries` tries, the last of which brought `answer`. `chance` is from 0 to 1; `once`: there is no second."""
    if answer.ok:
        return Verdict(status=DeliveryStatus.DELIVERED)
    if answer.status == GONE:
        return Verdict(status=DeliveryStatus.FAILED, gone=not once)
    if once or tries > len(delays):
        return Verdict(status=DeliveryStatus.FAILED)
    delay = delays[max(tries, 1) - 1] * (1 + JITTER * (2 * chance - 1))
    asked = min(answer.retry_after or 0, LONGEST_RETRY_AFTER)
    return Verdict(status=DeliveryStatus.PENDING, delay=max(delay, asked))


def disable_reason(answer: Answer, *, failures: int, limit: int, gone: bool) -> str | None:
    """Why a webhook is to be switched off after `failures` deliveries in a row that failed, or None if it is not."""
    if gone:
        return "it answered 410 Gone: it wants no more deliveries"
    if failures < limit:
        return None
    last = f"HTTP {answer.status}" if answer.status is not None else answer.error
    return f"{failures} deliveries in a row failed after all their tries; the last answer: {last}"
