"""A manifest that there is not is SQL's NULL. It was JSON's, which `IS NULL` does not find."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_COLUMNS = (("tenants", "last_good_manifest"), ("deployments", "manifest"), ("deployments", "previous_manifest"))


def upgrade() -> None:
    for table, column in _COLUMNS:
        op.execute(f"UPDATE {table} SET {column} = NULL WHERE jsonb_typeof({column}) = 'null'")  # noqa: S608 - ours


def downgrade() -> None:
    """Whoever read JSON's null reads SQL's, too."""
