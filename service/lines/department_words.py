"""The words of the departments' API (DEP-4) for those of the manifest, there and back.

Decides how a field is called. What is valid in it is the manifest's to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stacks.lines import DEPARTMENT
from stacks.problems import FieldProblem, ManifestError, closest, shown

WORDS = {
    "departmentId": "slug",
    "departmentName": "name",
    "adminEmail": "adminEmail",
    "region": "region",
    "workflows": "workflows",
    "dataRetention": "dataRetention",
    "templateId": "templateId",
    "templateVersion": "templateVersion",
    "customSettings": "customSettings",
    "enableRollback": "enableRollback",
}
"""The words of this API, and those of the manifest."""
BACK = {own: word for word, own in WORDS.items()}
# One thing has one name: these are unknown here.
_REFUSED = (BACK.keys() | {"kind"}) - WORDS.keys()


class RequestError(ManifestError):
    """A request for a department that cannot be used."""

    noun = "request"


def manifest_of(body: object) -> Mapping[str, Any]:
    """The manifest in a request. Raises RequestError for what is no mapping.

    Keys that are not of this API stay, under names that no manifest has: they are refused as unknown.
    """
    if not isinstance(body, Mapping):
        valid = "a mapping of keys to values"
        raise RequestError("request", [FieldProblem(field="request", given=shown(body), valid=valid)])
    return {_key(word): value for word, value in body.items()} | {"kind": DEPARTMENT.kind}


def in_own_words(error: ManifestError, body: Mapping[str, Any]) -> RequestError:
    """The problems of the manifest in `body`, in the words of this API."""
    unknown = {_key(word): word for word in body if word not in WORDS}
    return RequestError("request", [_problem(one, unknown) for one in error.problems])


def _key(word: str) -> str:
    return WORDS.get(word, f"({word})" if word in _REFUSED else word)


def _problem(problem: FieldProblem, unknown: Mapping[str, str]) -> FieldProblem:
    if (word := unknown.get(problem.field)) is not None:
        near = BACK.get(word) or closest(word, WORDS)
        return replace(problem, field=word, valid=f"one of the keys {', '.join(WORDS)}", suggestion=near)
    first = problem.field.partition(".")[0].partition("[")[0]
    return replace(problem, field=BACK.get(first, first) + problem.field[len(first) :])
