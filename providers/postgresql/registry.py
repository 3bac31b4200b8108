"""The types served, by token, and the package that they make. What is not here is refused by name."""

from providers.plugin.package import Package
from providers.postgresql import config
from providers.postgresql.client import Client
from providers.postgresql.database import Database
from providers.postgresql.default_privileges import DefaultPrivileges
from providers.postgresql.extension import Extension
from providers.postgresql.grant import Grant
from providers.postgresql.grant_role import GrantRole
from providers.postgresql.resource import ResourceType
from providers.postgresql.role import Role
from providers.postgresql.schema import Schema

TYPES: dict[str, ResourceType] = {
    each.token: each for each in (Database(), Role(), Schema(), Grant(), GrantRole(), DefaultPrivileges(), Extension())
}
# The token of before a renaming, which old states still name.
TYPES["postgresql:index/defaultPrivileg:DefaultPrivileg"] = TYPES[DefaultPrivileges.token]

PACKAGE = Package(
    name="postgresql",
    distribution="pulumi-postgresql",
    types=TYPES,
    config=config.SPEC,
    check_config=config.check,
    connect=lambda args: Client(config=config.resolve(args)),
    preload="psycopg",
)
type_of = PACKAGE.type_of
