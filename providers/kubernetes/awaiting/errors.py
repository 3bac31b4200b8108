"""What waiting can end with, other than the object being as it is to be.

InitFailedError
└── NotReady                  the object is there, and not ready, or not gone, within its time
    └── AwaitCancelledError   the engine asked to stop (also a CancelledError)
"""

from providers.kubernetes.seam import Document
from providers.plugin.errors import CancelledError, InitFailedError


class NotReady(InitFailedError):  # noqa: N818 - what the object is; that it is an error is how it is told
    """`reason` is one line; `last` is the object as it was seen last."""

    def __init__(self, reason: str, *, last: Document, object_id: str = "") -> None:
        super().__init__(reason, object_id=object_id)
        self.reason = reason
        self.last = last


class AwaitCancelledError(NotReady, CancelledError):
    """The object is there all the same: a later run goes on with it."""
