"""The records of departments."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE departments (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            slug TEXT NOT NULL,
            tenant_mark TEXT NOT NULL,
            name TEXT NOT NULL,
            admin_email TEXT NOT NULL,
            region TEXT NOT NULL,
            retention TEXT NOT NULL,
            schema_name TEXT NOT NULL,
            status TEXT DEFAULT 'provisioning' NOT NULL,
            template_id TEXT,
            template_version TEXT,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            activated_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT departments_pkey PRIMARY KEY (id),
            CONSTRAINT departments_status_check CHECK (status IN ('provisioning', 'active', 'inactive')),
            CONSTRAINT departments_slug_key UNIQUE (slug)
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE departments")
