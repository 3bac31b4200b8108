"""What a department's workflows were built from: `id@version` of each one's template."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE departments ADD COLUMN workflows TEXT[]")


def downgrade() -> None:
    op.execute("ALTER TABLE departments DROP COLUMN workflows")
