"""The labels by which an object of ours is known again, and a program's labels apart from them. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from providers.plugin.properties import DEFAULTS_KEY
from providers.plugin.wire import Plain

MARK = "tenantry.pulumi"
DIGEST = "tenantry.inputs"


def labels_of(inputs: Plain) -> dict[str, str]:
    """The labels that the program gives."""
    return {str(item["label"]): str(item["value"]) for item in inputs.get("labels") or []}


def marked(inputs: Plain, mark: str, digest: str) -> dict[str, str]:
    """The program's labels and ours."""
    return labels_of(inputs) | {MARK: mark, DIGEST: digest}


def told(labels: Mapping[str, str] | None, without: Mapping[str, str] | None = None) -> list[dict[str, str]]:
    """An object's labels as a program gives them: not ours, and not those in `without`, which came with its image."""
    shown = sorted((labels or {}).items())
    return [
        {"label": name, "value": value}
        for name, value in shown
        if name not in {MARK, DIGEST} and (without or {}).get(name) != value
    ]


def is_of(labels: Mapping[str, str] | None, mark: str, digest: str) -> bool:
    """Whether an object with these labels is ours, and made from these very inputs."""
    found = labels or {}
    return found.get(MARK) == mark and found.get(DIGEST) == digest


def digest_of(inputs: Plain, mark: str, ignored: Iterable[str] = ()) -> str:
    """What an object is made from, so that one made by a run that was killed is known to be the same or not.

    With the mark in it, equal digests tell nobody that two tenants have the same password.
    """
    kept: dict[str, Any] = {name: value for name, value in inputs.items() if name not in {*ignored, DEFAULTS_KEY}}
    text = json.dumps([mark, kept], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
