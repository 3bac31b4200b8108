"""The Docker SDK's errors in the words of `providers.plugin.errors`, with no secret in them, and two of its own:

ProviderError
├── MissingError            there is no such object
└── EngineError             the Docker engine refused; `status` is its HTTP status
"""

from collections.abc import Iterable

from providers.plugin.errors import AccessError, ProviderError, UnreachableError

_LONGEST = 400
_SHORTEST_SECRET = 6
"""Characters: what is shorter is a port or a word, and hiding it would take the sense from a message."""
_PASSING = frozenset({429, 502, 503, 504})
_NO_ADDRESSES = "give the engine more (default-address-pools in its daemon.json), or the network its own (ipamConfigs)"
_ADVICE = {
    "non-overlapping": _NO_ADDRESSES,
    "fully subnetted": _NO_ADDRESSES,
    "port is already allocated": "give another external port, or stop what has it",
    "address already in use": "give another external port, or stop what has it",
    "has active endpoints": "remove the containers in it first",
    "volume is in use": "remove the containers that use it first",
    "must force": "remove what uses it first, or set forceRemove; keepLocally leaves the image where it is",
    "cannot be forced": "stop the containers that use it first; keepLocally leaves the image where it is",
    "no basic auth credentials": "give the registry's user and password in the provider's registryAuth",
    "authentication required": "check the user and password for that registry",
    "unauthorized": "check the user and password for that registry",
    "denied": "check the user and password for that registry, and what the user may do there",
}


class MissingError(ProviderError):
    pass


class EngineError(ProviderError):
    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
        self.retry = status in _PASSING


def from_docker(error: Exception, doing: str, where: str, hide: Iterable[str] = ()) -> ProviderError:
    """What the SDK raised while `doing` (such as `create container 'web'`) at the engine `where`."""
    from providers.docker.sdk import errors, exceptions

    if isinstance(error, errors.NotFound):
        return MissingError(one_line(doing, _said(error), hide))
    if isinstance(error, errors.APIError):
        status = error.response.status_code if error.response is not None else 500
        return EngineError(one_line(doing, _said(error), hide), status=status)
    text = str(error)
    if isinstance(error, exceptions.Timeout) or "timed out" in text.lower():
        late = UnreachableError(
            f"cannot {doing}: the Docker engine at {where} did not answer in time. See what holds it up, then retry"
        )
        # It may still be at work on it: asking again would only add to that.
        late.retry = False
        return late
    if "Permission denied" in text:
        return AccessError(f"cannot {doing}: no permission for {where}. Add this user to its group, or use another")
    if isinstance(error, exceptions.SSLError) or "SSL" in text or "TLS" in text:
        return AccessError(
            f"cannot {doing}: no TLS with {where}. Check certPath, or caMaterial, certMaterial, keyMaterial"
        )
    if isinstance(error, errors.DockerException) and "server API version" not in text:
        # Not of the engine but of the SDK, which looks at names and arguments first.
        return ProviderError(one_line(doing, text, hide))
    if isinstance(error, (exceptions.ConnectionError, errors.DockerException, OSError)) and not isinstance(
        error, exceptions.JSONDecodeError
    ):
        return UnreachableError(
            f"cannot {doing}: no Docker engine answers at {where}. Check that it runs there, then retry"
        )
    return ProviderError(f"cannot {doing}: what answers at {where} is no Docker engine ({type(error).__name__})")


def one_line(doing: str, said: str, hide: Iterable[str] = ()) -> str:
    """`cannot DOING: what was said: what to do`."""
    for secret in sorted(hide, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            said = said.replace(secret, "[secret]")
    said = " ".join(said.split()).rstrip(".")
    if len(said) > _LONGEST:
        said = f"{said[:_LONGEST]} ..."
    advice = next((text for words, text in _ADVICE.items() if words in said), "")
    return f"cannot {doing}: {said or 'nothing more was said'}" + (f": {advice}" if advice else "")


def _said(error: Exception) -> str:
    explanation = getattr(error, "explanation", None)
    if isinstance(explanation, bytes):
        explanation = explanation.decode(errors="replace")
    return str(explanation or error)
