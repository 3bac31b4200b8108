"""The records of ISPs, and where a tenant is reached, as its last run that succeeded told."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE isps (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            slug TEXT NOT NULL,
            tenant_mark TEXT NOT NULL,
            name TEXT NOT NULL,
            admin_email TEXT,
            region TEXT NOT NULL,
            plan TEXT NOT NULL,
            customers INTEGER NOT NULL,
            status TEXT DEFAULT 'provisioning' NOT NULL,
            template_id TEXT,
            template_version TEXT,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            activated_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT isps_pkey PRIMARY KEY (id),
            CONSTRAINT isps_status_check CHECK (status IN ('provisioning', 'active', 'inactive')),
            CONSTRAINT isps_slug_key UNIQUE (slug)
        )
        """
    )
    op.execute("ALTER TABLE tenants ADD COLUMN url TEXT")


def downgrade() -> None:
    op.execute("ALTER TABLE tenants DROP COLUMN url")
    op.execute("DROP TABLE isps")
