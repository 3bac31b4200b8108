"""The records of points of sale, tenants that are partial, and how many requests a run has sent."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE points_of_sale (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            slug TEXT NOT NULL,
            tenant_mark TEXT NOT NULL,
            name TEXT NOT NULL,
            admin_email TEXT,
            region TEXT NOT NULL,
            engine TEXT NOT NULL,
            category TEXT NOT NULL,
            country_code TEXT NOT NULL,
            provisioning_type TEXT NOT NULL,
            status TEXT DEFAULT 'provisioning' NOT NULL,
            template_id TEXT,
            template_version TEXT,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            activated_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT points_of_sale_pkey PRIMARY KEY (id),
            CONSTRAINT points_of_sale_status_check CHECK (status IN ('provisioning', 'active', 'inactive')),
            CONSTRAINT points_of_sale_slug_key UNIQUE (slug)
        )
        """
    )
    _statuses("'pending', 'provisioning', 'active', 'partial', 'failed', 'removed'")
    op.execute("ALTER TABLE deployments ADD COLUMN requests JSONB")


def downgrade() -> None:
    op.execute("ALTER TABLE deployments DROP COLUMN requests")
    op.execute("UPDATE tenants SET status = 'active' WHERE status = 'partial'")
    _statuses("'pending', 'provisioning', 'active', 'failed', 'removed'")
    op.execute("DROP TABLE points_of_sale")


def _statuses(words: str) -> None:
    op.execute("ALTER TABLE tenants DROP CONSTRAINT tenants_status_check")
    op.execute(f"ALTER TABLE tenants ADD CONSTRAINT tenants_status_check CHECK (status IN ({words}))")
