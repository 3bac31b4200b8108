"""Who asks, and what they may: [token], [wrong-key], [no-key], [permission].

Which role has which right is not among the rows: a user other than the Administrator has the rights that a test gives.
"""

import hmac
from collections.abc import Mapping
from secrets import token_hex

from sandbox.erpnext.documents import ADMINISTRATOR
from sandbox.erpnext.refusals import Refusal
from sandbox.records import Records

GUEST = "Guest"
_KEYS = "#key"


class Access:
    def __init__(self, records: Records) -> None:
        self._records = records

    def give(self, user: str, rights: Mapping[str, str], *, key: str = "", secret: str = "") -> tuple[str, str]:
        """(key, secret) of a user. `rights` are words by DocType, such as `read write`; `*` stands for all others."""
        key, secret = key or token_hex(8), secret or token_hex(16)
        self._records.put(_KEYS, key, {"name": key, "user": user, "secret": secret, "rights": dict(rights)})
        return key, secret

    def user_of(self, authorization: str) -> str:
        """Raises Refusal for a key that is not known, or a secret that is not its own."""
        if not authorization:
            return GUEST
        scheme, _, pair = authorization.partition(" ")
        key, _, secret = pair.strip().partition(":")
        known = self._records.look(_KEYS, key) if scheme.lower() == "token" else None
        if known is None or not hmac.compare_digest(str(known["secret"]).encode(), secret.encode()):
            raise Refusal("AuthenticationError", "Authentication failed")
        user = self._records.look("User", known["user"])
        if user is not None and not user["enabled"]:
            raise Refusal("AuthenticationError", "User is disabled")
        return str(known["user"])

    def permit(self, user: str, doctype: str, right: str) -> None:
        if user == ADMINISTRATOR:
            return
        known = self._records.first(_KEYS, user=user)
        rights = known["rights"] if known else {}
        if right not in str(rights.get(doctype, rights.get("*", ""))).split():
            raise Refusal(
                "PermissionError", f"User {user} does not have doctype access via role permission for {doctype}"
            )
