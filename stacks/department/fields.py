"""What a retention, a workflow's name and a scope may look like.

Decides validity of single values. It never looks at other fields, or at what there is.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stacks.fields import matching

Retention = Annotated[
    str,
    matching(r"[1-9][0-9]{0,4}[dwmy]", "a number of days, weeks, months or years, such as 90d, 12w, 6m or 1y"),
    Field(description="how long data is kept, such as 90d, 12w, 6m or 1y"),
]
WorkflowName = Annotated[
    str,
    matching(r"[a-z][a-z0-9_]{0,39}", "a workflow template's id, such as email"),
    Field(description="such as email"),
]
Scope = Annotated[str, matching(r"[\x21\x23-\x5b\x5d-\x7e]{1,64}", "an OAuth scope (RFC 6749, section 3.3)")]
