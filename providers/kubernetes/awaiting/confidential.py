"""What must not stand in a message about an object, and taking it out. Pure.

Its own secret data, the environment that its manifest gives to containers under the name of a secret, the Secrets that
its pods use, and whatever looks like a password in an address.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from typing import Any

from providers.kubernetes.awaiting.documents import items, part, table, text
from providers.kubernetes.seam import Document
from providers.masking import MASK, masked

SHORTEST = 4
"""What is shorter stands in too many words by chance: to mask it hides everything and tells that it is there."""
_SECRET_NAME = re.compile(r"pass|pwd|secret|token|key|credential|dsn|auth|private", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(@)")
_IN_PAIR = re.compile(r"((?:password|passwd|pwd|secret|token)\s*[=:]\s*)([^\s,;\"']+)", re.IGNORECASE)


def secrets_of(obj: Document, used: Iterable[Document] = ()) -> tuple[str, ...]:
    """`used` are the Secrets that its pods use."""
    found = [*_data(obj), *_environment(obj)]
    for secret in used:
        found += _data(secret)
    return tuple(each for each in dict.fromkeys(found) if len(each.strip()) >= SHORTEST)


def hidden(words: str, secrets: Iterable[str]) -> str:
    words = masked(words, secrets)
    words = _IN_ADDRESS.sub(rf"\1{MASK}\2", words)
    return _IN_PAIR.sub(rf"\1{MASK}", words)


def secret_names(obj: Document) -> tuple[str, ...]:
    """The Secrets that its pods use, by name, each once."""
    found: list[str] = []
    for spec in _pod_specs(obj):
        for container in _containers(spec):
            found += (text(each, "secretRef", "name") for each in items(container, "envFrom"))
            found += (text(each, "valueFrom", "secretKeyRef", "name") for each in items(container, "env"))
        for volume in items(spec, "volumes"):
            found.append(text(volume, "secret", "secretName"))
            found += (text(each, "secret", "name") for each in items(volume, "projected", "sources"))
    return tuple(dict.fromkeys(filter(None, found)))


def _data(obj: Document) -> Iterator[str]:
    if text(obj, "kind") != "Secret":
        return
    for value in table(obj, "stringData").values():
        yield from _lines(str(value))
    for value in table(obj, "data").values():
        yield str(value)
        try:
            yield from _lines(base64.b64decode(str(value), validate=True).decode())
        except (binascii.Error, UnicodeDecodeError):
            continue


def _lines(value: str) -> Iterator[str]:
    """A text of several lines is quoted by the line."""
    yield value
    if "\n" in value:
        yield from value.splitlines()


def _environment(obj: Document) -> Iterator[str]:
    for spec in _pod_specs(obj):
        for container in _containers(spec):
            for each in items(container, "env"):
                if part(each, "value") is not None and _SECRET_NAME.search(text(each, "name")):
                    yield text(each, "value")


def _pod_specs(obj: Document) -> Iterator[dict[str, Any]]:
    for place in (("spec", "template", "spec"), ("spec", "jobTemplate", "spec", "template", "spec")):
        yield table(obj, *place)
    if text(obj, "kind") == "Pod":
        yield table(obj, "spec")


def _containers(spec: dict[str, Any]) -> Iterator[Any]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from items(spec, field)
