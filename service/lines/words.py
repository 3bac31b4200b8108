"""The words of a line's own API for those of its manifest, there and back.

Decides how a field is called. What is valid in it is the manifest's to decide.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from stacks.problems import FieldProblem, ManifestError, closest, shown


class RequestError(ManifestError):
    """A request for a tenant that cannot be used."""

    noun = "request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What an API calls the keys of the manifests of `kind`: `own` has its words, and for each that of the manifest."""

    kind: str
    own: Mapping[str, str]

    @property
    def back(self) -> dict[str, str]:
        """The other way round."""
        return {theirs: word for word, theirs in self.own.items()}

    def manifest_of(self, body: object) -> dict[str, Any]:
        """The manifest in a request. Raises RequestError for what is no mapping.

        Keys that are not of this API stay, under names that no manifest has: they are refused as unknown.
        """
        return {self._key(word): value for word, value in mapping(body).items()} | {"kind": self.kind}

    def in_own_words(self, error: ManifestError, body: Mapping[str, Any]) -> RequestError:
        """The problems of the manifest in `body`, in the words of this API."""
        unknown = {self._key(word): word for word in body if word not in self.own}
        return RequestError("request", [self._problem(one, unknown) for one in error.problems])

    def schema(self, manifest: Mapping[str, Any], title: str) -> dict[str, Any]:
        """The schema of a request, from that of the manifest."""
        found = {**copy.deepcopy(dict(manifest)), "title": title}
        back = self.back
        found["properties"] = {back[key]: value for key, value in found["properties"].items() if key in back}
        found["required"] = [back[name] for name in found["required"] if name in back]
        return found

    def _key(self, word: str) -> str:
        # One thing has one name: the manifest's own words, where this API has others, are unknown here.
        refused = ({*self.own.values(), "kind"}) - set(self.own)
        return self.own.get(word, f"({word})" if word in refused else word)

    def _problem(self, problem: FieldProblem, unknown: Mapping[str, str]) -> FieldProblem:
        back = self.back
        if (word := unknown.get(problem.field)) is not None:
            near = back.get(word) or closest(word, self.own)
            return replace(problem, field=word, valid=f"one of the keys {', '.join(self.own)}", suggestion=near)
        first = problem.field.partition(".")[0].partition("[")[0]
        return replace(problem, field=back.get(first, first) + problem.field[len(first) :])


def mapping(body: object) -> Mapping[str, Any]:
    """The body. Raises RequestError for what is no mapping."""
    if isinstance(body, Mapping):
        return body
    valid = "a mapping of keys to values"
    raise RequestError("request", [FieldProblem(field="request", given=shown(body), valid=valid)])
