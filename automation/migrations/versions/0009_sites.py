"""The records of sites, and backups and restores as jobs and runs."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BEFORE = {
    "jobs": ("preview", "up", "refresh", "destroy", "rollback"),
    "deployments": ("up", "refresh", "destroy", "rollback"),
}
_NEW = ("backup", "restore")


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE sites (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            slug TEXT NOT NULL,
            tenant_mark TEXT NOT NULL,
            name TEXT NOT NULL,
            admin_email TEXT,
            region TEXT NOT NULL,
            host TEXT NOT NULL,
            status TEXT DEFAULT 'provisioning' NOT NULL,
            template_id TEXT,
            template_version TEXT,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            activated_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT sites_pkey PRIMARY KEY (id),
            CONSTRAINT sites_status_check CHECK (status IN ('provisioning', 'active', 'inactive')),
            CONSTRAINT sites_slug_key UNIQUE (slug)
        )
        """
    )
    for table, words in _BEFORE.items():
        _may_be(table, (*words, *_NEW))


def downgrade() -> None:
    for table, words in _BEFORE.items():
        op.execute(f"DELETE FROM {table} WHERE operation IN ('backup', 'restore')")  # noqa: S608 - our own words
        _may_be(table, words)
    op.execute("DROP TABLE sites")


def _may_be(table: str, words: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{word}'" for word in words)
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_operation_check")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_operation_check CHECK (operation IN ({listed}))")
