"""The types served, by token. What is not here is refused by name."""

from providers.postgresql.database import Database
from providers.postgresql.default_privileges import DefaultPrivileges
from providers.postgresql.errors import RefusedError
from providers.postgresql.extension import Extension
from providers.postgresql.grant import Grant
from providers.postgresql.grant_role import GrantRole
from providers.postgresql.resource import ResourceType, title
from providers.postgresql.role import Role
from providers.postgresql.schema import Schema

TYPES: dict[str, ResourceType] = {
    each.token: each for each in (Database(), Role(), Schema(), Grant(), GrantRole(), DefaultPrivileges(), Extension())
}
# The token of before a renaming, which old states still name.
TYPES["postgresql:index/defaultPrivileg:DefaultPrivileg"] = TYPES[DefaultPrivileges.token]


def type_of(token: str) -> ResourceType:
    """Raises RefusedError naming the type and those that are served."""
    found = TYPES.get(token)
    if found is None:
        served = ", ".join(sorted({title(each.token) for each in TYPES.values()}))
        raise RefusedError(f"type {token} is not served here (served: {served}): install the stock plugin for it")
    return found
