"""Who stands at a till: a user of the site, adopted if there is one of that address, else made.

Decides that one made here may do nothing yet: which roles a cashier has, and of which companies, is for the site's
administrator to say. No welcome is mailed. Its `bio` says whose it is.
"""

from __future__ import annotations

from typing import Unpack

from providers.erpnext.document import Common, Document
from providers.erpnext.wanted import Whose


class User(Document, module="tenantry", name="ErpNextUser"):
    def __init__(self, name: str, *, email: str, **common: Unpack[Common]) -> None:
        super().__init__(
            name,
            doctype="User",
            key={"email": email},
            whose=Whose.SHARED,
            named=email,
            fields={"enabled": 1},
            initial={"first_name": email.partition("@")[0], "send_welcome_email": 0},
            mark_field="bio",
            **common,
        )
