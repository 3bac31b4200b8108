"""Values as the YAML text that a person would type. Pure; reading it back is `filled`'s."""

from __future__ import annotations

from typing import Any

import yaml

YES, NO = "true", "false"


def text_of(value: Any) -> str:
    """A value as a person would type it: texts and numbers plainly, all else as YAML."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return YES if value else NO
    if isinstance(value, int | float):
        return f"{value}"
    if value in ([], {}):
        return "[]" if value == [] else "{}"
    return dump(value).rstrip("\n")


class _Dumper(yaml.SafeDumper):
    """Small mappings within lists stay on one line, as people write them."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own signature
        return True

    def represent_list(self, data: Any) -> yaml.SequenceNode:
        node = super().represent_list(data)
        for item in node.value:
            if isinstance(item, yaml.MappingNode) and all(isinstance(v, yaml.ScalarNode) for _, v in item.value):
                item.flow_style = True
        return node


_Dumper.add_representer(list, _Dumper.represent_list)


def dump(value: Any) -> str:
    """YAML in the order of the keys."""
    return yaml.dump(
        value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=100
    ).removesuffix("...\n")
