"""What a DocType may decide of its own documents, beyond what its definition says. The base decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.records import Doc

if TYPE_CHECKING:
    from sandbox.erpnext.documents import Documents


class Rules:
    """Each raises Refusal for what is not allowed; the request then leaves nothing behind."""

    def name(self, site: Documents, doc: Doc) -> str | None:  # noqa: ARG002 - for those that have a say
        """None where its DocType's `naming` says it."""
        return None

    def validate(self, site: Documents, doc: Doc) -> None:
        """Before the mandatory fields are looked at; may fill in."""

    def after_insert(self, site: Documents, doc: Mapping[str, Any]) -> None:
        pass

    def on_submit(self, site: Documents, doc: Mapping[str, Any]) -> None:
        pass

    def before_cancel(self, site: Documents, doc: Mapping[str, Any]) -> None:
        pass

    def on_cancel(self, site: Documents, doc: Mapping[str, Any]) -> None:
        pass

    def on_trash(self, site: Documents, doc: Mapping[str, Any]) -> None:
        """Before it is looked at who links to it."""
