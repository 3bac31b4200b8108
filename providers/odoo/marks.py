"""By which external identifier a record is known as the tenant's: `tenantry.<mark>_<key>`. Pure.

Odoo keeps such identifiers for any record of any model in `ir.model.data`, unique over the database. It writes one in
the same transaction as the record (`load`), deletes it with the record, and finds the record by it after a rename: so
no field of the record has to hold a mark, and a record never is without one, nor there twice.
"""

from __future__ import annotations

import re

MODULE = "tenantry"
_OTHER = re.compile(r"[^a-z0-9-]")


def mark_name(tenant_mark: str, key: str) -> str:
    """The identifier's name, without the module. `key` begins with a letter and is unique in the tenant."""
    return f"{encoded(tenant_mark)}_{key}"


def full_mark(tenant_mark: str, key: str) -> str:
    """As Odoo shows it."""
    return f"{MODULE}.{mark_name(tenant_mark, key)}"


def encoded(text: str) -> str:
    """`text` in the letters that an identifier may have, no two alike: any other is `_` and its bytes' hex digits."""
    return _OTHER.sub(lambda found: "".join(f"_{byte:02x}" for byte in found.group().encode()), text)
