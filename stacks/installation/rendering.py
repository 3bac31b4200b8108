"""The objects as YAML for `kubectl apply`: one document each, keys in the order of `objects`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from stacks.installation.names import Document


class _Dumper(yaml.SafeDumper):
    """Lists are indented under their keys, nothing is an alias, and text of several lines stays readable."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's own
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def rendered(documents: Iterable[Document]) -> str:
    """YAML that reads back as the same documents."""
    parts = (yaml.dump(each, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120) for each in documents)
    return "".join(f"---\n{part}" for part in parts)
