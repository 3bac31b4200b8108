"""What a provider plugin can say went wrong.

ProviderError
├── RefusedError            not served here, or not sensible; nothing was tried
├── ConflictError           the object exists and belongs to someone else
├── UnreachableError        no connection in the time allowed
├── AccessError             the server does not let this user do it (wrong password, missing privilege)
├── CancelledError          the engine asked to stop
└── InitFailedError         the object is there, but did not become what it is to be
"""


class ProviderError(Exception):
    """Says which object, why, and what to do. `retry` says that the same call may succeed later."""

    retry = False


class RefusedError(ProviderError):
    pass


class ConflictError(ProviderError):
    pass


class UnreachableError(ProviderError):
    retry = True


class AccessError(ProviderError):
    pass


class CancelledError(ProviderError):
    pass


class InitFailedError(ProviderError):
    """The engine keeps the object as it is, so that the next run mends it, or a removal finds it.

    With `object_id` it does so even where the server can no longer be asked what the object is like.
    """

    def __init__(self, reason: str, *, object_id: str = "") -> None:
        super().__init__(reason)
        self.object_id = object_id
