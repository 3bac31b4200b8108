"""How a tenant's objects in n8n are called, and by what they are known again. Pure.

n8n lets two workflows have one name, and takes no id for a new one. So each workflow of ours holds a note, a node whose
id follows from the tenant mark and the workflow's key: it is there from the very request that creates the workflow,
and a run that was cut off right after it finds its workflow again. A credential takes an id of our choice.
"""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from collections.abc import Mapping
from typing import Any

_SPACE = uuid.UUID("5d2f3f7e-6d0b-5c3e-9a55-0d6a1f6f3c11")
_TAG_LENGTH = 24
"""What n8n takes; a longer name gives a misleading 409."""
WEBHOOK_KEY = "webhook"
"""The credential that the department's own webhooks ask for, where a definition names no other."""


def tag_name(mark: str) -> str:
    """The tag of a tenant: the end of its name, to be read, and 65 bits of its mark, to be the only one."""
    digest = base64.b32encode(hashlib.sha256(mark.encode()).digest()).decode().lower()[:13]
    readable = re.sub(r"[^a-z0-9-]", "-", mark.rpartition("/")[2].lower())[: _TAG_LENGTH - len(digest) - 1]
    return f"{readable}-{digest}"


def workflow_name(mark: str, key: str) -> str:
    return f"{mark} {key}"


def node_id(mark: str, key: str, node: str) -> str:
    """The id of a node, and of its webhook: the same in each run, so that an update makes no new version."""
    return str(uuid.uuid5(_SPACE, f"{mark}\n{key}\n{node}"))


def note_id(mark: str, key: str) -> str:
    return node_id(mark, key, "\0note")


def note_text(mark: str, key: str) -> str:
    return f"## {mark} {key}\nManaged by Tenantry: what is changed here is undone, and goes with its tenant."


def credential_key(workflow: str, slot: str) -> str:
    """The key of a workflow's own credential; the webhooks' one is the whole department's."""
    return WEBHOOK_KEY if slot == WEBHOOK_KEY else f"{workflow}/{slot}"


def credential_id(mark: str, key: str) -> str:
    """16 letters and digits, as n8n's own."""
    digest = hashlib.sha256(f"{mark}\n{key}".encode()).digest()
    return base64.b32encode(digest).decode()[:16]


def credential_name(mark: str, key: str) -> str:
    return f"{mark} {key}"


def path_of(mark: str, key: str) -> str:
    """The path of a workflow's webhooks below /webhook/."""
    return "/".join(re.sub(r"[^A-Za-z0-9._~-]", "-", part) for part in (*mark.split("/"), key))


def is_marked(workflow: Mapping[str, Any], mark: str, key: str) -> bool:
    """Whether a workflow is this tenant's, by its note."""
    return any(node.get("id") == note_id(mark, key) for node in workflow.get("nodes") or ())


def is_of_tenant(workflow: Mapping[str, Any], mark: str) -> bool:
    """Whether a workflow is one of this tenant's, whatever its key: its note says which, and its id proves it."""
    pattern = re.compile(rf"^## {re.escape(mark)} (\S+)$", re.MULTILINE)
    texts = (str((node.get("parameters") or {}).get("content", "")) for node in workflow.get("nodes") or ())
    return any(is_marked(workflow, mark, found.group(1)) for text in texts if (found := pattern.search(text)))
