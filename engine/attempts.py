"""A create that may be tried more than once: what was made and is not ready is updated from then on.

A second create would make a second object, and the first would belong to nobody.
"""

from __future__ import annotations

from engine.errors import EngineError, InitFailedError
from engine.provider_client import Created, Provider, UpdateCall
from engine.resource import State


class Creation:
    """One create of `new`. `attempt` may be called again after it has raised."""

    def __init__(self, provider: Provider, new: State, *, preview: bool) -> None:
        self._provider = provider
        self._new = new
        self._preview = preview
        self._partial: InitFailedError | None = None

    def attempt(self) -> Created:
        """What was made. Raises InitFailedError as soon as there is an object to keep track of."""
        try:
            return self._create() if self._partial is None else self._update(self._partial)
        except InitFailedError as failure:
            if self._partial is not None:
                failure.object_id = failure.object_id or self._partial.object_id
            self._partial = failure
            raise
        except EngineError as error:
            made = self._partial
            if made is None:
                raise
            raise InitFailedError(
                [str(error)],
                made.object_id,
                made.outputs,
                made.inputs,
                refresh_before_update=made.refresh_before_update,
            ) from error

    def _create(self) -> Created:
        new = self._new
        return self._provider.create(new.urn, new.inputs, new.custom_timeouts.create, preview=self._preview)

    def _update(self, made: InitFailedError) -> Created:
        new = self._new
        call = UpdateCall(
            old_inputs=new.inputs, old_outputs=made.outputs, news=new.inputs, timeout=new.custom_timeouts.create
        )
        updated = self._provider.update(new.urn, made.object_id, call, preview=self._preview)
        return Created(made.object_id, updated.outputs, updated.refresh_before_update)
