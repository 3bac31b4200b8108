"""What was purged of tenants' data, when, and how it went.

Plain SQL on purpose, as in 0001.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE purges (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        tenant TEXT NOT NULL,
        retention TEXT NOT NULL,
        cutoff TIMESTAMP WITH TIME ZONE NOT NULL,
        rows JSONB DEFAULT '{}'::jsonb NOT NULL,
        total BIGINT DEFAULT 0 NOT NULL,
        complete BOOLEAN NOT NULL,
        error TEXT,
        actor TEXT NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE NOT NULL,
        ended_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT purges_pkey PRIMARY KEY (id),
        CONSTRAINT purges_tenant_fkey FOREIGN KEY(tenant) REFERENCES tenants (slug) ON DELETE CASCADE
    )
    """,
    """
    CREATE INDEX purges_tenant_id_idx ON purges (tenant, id DESC)
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE purges")
