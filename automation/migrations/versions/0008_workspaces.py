"""What a tenant has on servers that many share, and the accounts of people who sign in with a password."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE tenants ADD COLUMN objects JSONB")
    op.execute(
        """
        CREATE TABLE accounts (
            email TEXT NOT NULL,
            name TEXT NOT NULL,
            password_hash TEXT NOT NULL,
            created_by TEXT NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT accounts_pkey PRIMARY KEY (email)
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE accounts")
    op.execute("ALTER TABLE tenants DROP COLUMN objects")
