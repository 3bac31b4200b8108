"""The tables of the product lines' own tenants, a row for each, as SQLAlchemy Core tables.

Each is written by a provider of its line, `providers/*_record.py`, which is why none has a foreign key to the control
tables (`models`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY

from automation.models import NOW, TIMESTAMP, metadata, one_of


def _said(*names: str) -> list[Column[Any]]:
    """What a manifest has to say."""
    return [Column(name, Text, nullable=False) for name in names]


def _line(name: str, *own: Column[Any]) -> Table:
    """A line's table: whose tenant it is, what is its `own`, and how far it has come."""
    return Table(
        name,
        metadata,
        Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
        Column("slug", Text, nullable=False, unique=True),
        *_said("tenant_mark", "name"),
        *own,
        Column("status", Text, nullable=False, server_default="provisioning"),
        Column("template_id", Text),
        Column("template_version", Text),
        Column("created_at", TIMESTAMP, nullable=False, server_default=NOW),
        Column("updated_at", TIMESTAMP, nullable=False, server_default=NOW),
        Column("activated_at", TIMESTAMP),
        one_of("status", ("provisioning", "active", "inactive")),
    )


cabinets = _line(
    "cabinets",
    *_said("street", "city", "postal_code", "country", "phone", "email"),
    Column("database_name", Text),
)

# `retention` is as the manifest has it, such as 90d; `workflows` are id@version of their templates.
departments = _line(
    "departments",
    *_said("admin_email", "region", "retention", "schema_name"),
    Column("workflows", ARRAY(Text)),
)

points_of_sale = _line(
    "points_of_sale",
    *_said("region", "engine", "category", "country_code", "provisioning_type"),
    Column("admin_email", Text),
)

# `customers` is how many it is sized for.
isps = _line(
    "isps", *_said("region", "plan"), Column("admin_email", Text), Column("customers", Integer, nullable=False)
)

# `host` is the site's name on its bench.
sites = _line("sites", *_said("region", "host"), Column("admin_email", Text))
