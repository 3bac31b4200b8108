"""Taking a workflow out of n8n: unpublished, let go by the server, deleted.

Decides how long n8n may take to let go of what was published: it answers 409 meanwhile.
"""

from __future__ import annotations

import time

from providers.errors import NotReadyError, RefusedError
from providers.n8n import api
from providers.n8n.api import N8n


def remove_workflow(n8n: N8n, workflow_id: str, *, what: str) -> None:
    """The workflow is gone afterwards, whatever was there. Raises NotReadyError when n8n does not let it go."""
    deadline = time.monotonic() + api.READY_SECONDS
    while n8n.call("POST", f"/workflows/{workflow_id}/unpublish", what=what, expect=(200, 404), json={}) is not None:
        try:
            n8n.call("DELETE", f"/workflows/{workflow_id}", what=what, expect=(200, 404))
            return
        except RefusedError as error:
            if error.status != 409:
                raise
            said = str(error)
        if time.monotonic() >= deadline:
            raise NotReadyError(f"{what} is not let go after {api.READY_SECONDS:g} s: {said}")
        time.sleep(api.PAUSE_SECONDS)
