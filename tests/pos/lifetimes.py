"""Runs of one point of sale after another, in this process, with a state between them as an engine keeps it.

What a run has made is in the state; what failed is not. A run that fails is followed to its end, as an engine waits for
what is under way: nothing of it is done in the next one's time.
"""

from __future__ import annotations

import asyncio
from typing import Any

from components.pos_args import PosPayment
from tests.erpnext.running import Made as Resource
from tests.pos.rows import CASHIER
from tests.pos.stand_in import TEA, Made, in_place_of_the_sdks, settings, up

ALL = {
    "items": (TEA,),
    "cashier": CASHIER,
    "payments": (PosPayment(mode="Cash", kind="Cash"), PosPayment(mode="M-Pesa", kind="Phone", account="Creditors")),
}
"""All that a point of sale may have, one of a kind, and a mode of payment that a site does not have."""


class Tenant:
    """One tenant's state, and what acts on it. `failed` is what the last run failed of, None where it did not."""

    def __init__(self) -> None:
        self.state: dict[str, Resource] = {}
        self.failed: BaseException | None = None

    def run(self, **changes: Any) -> str | None:
        """The outputs' status; None where the run failed."""
        self.failed = None
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        made = in_place_of_the_sdks(Made(self.state))
        made.refreshes = False
        try:
            status = str(up(made, **(ALL | changes))["status"])
            made.tidied()
            return status
        except Exception as error:  # noqa: BLE001 - the SDK wraps what a provider raises in errors of its own
            self.failed = made.failure or error.__cause__ or error
            return None
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            self.state = made.state
            settings.reset_options(project="", stack="")
            loop.close()
            asyncio.set_event_loop(None)

    def refresh(self) -> None:
        """What is gone leaves the state."""
        self.state = {key: one for key, one in self.state.items() if one.refresh()}

    def forget(self) -> None:
        """As if the process had been killed before any of it was written down."""
        self.state = {}

    def destroy(self) -> None:
        while self.state:
            key, one = next(reversed(self.state.items()))
            one.delete()
            del self.state[key]
