"""The control tables: tenants, deployments with their steps and logs, cabinets.

Plain SQL on purpose: a revision must go on meaning what it meant, whatever becomes of `models`.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE cabinets (
        id UUID DEFAULT gen_random_uuid() NOT NULL,
        slug TEXT NOT NULL,
        tenant_mark TEXT NOT NULL,
        name TEXT NOT NULL,
        street TEXT NOT NULL,
        city TEXT NOT NULL,
        postal_code TEXT NOT NULL,
        country TEXT NOT NULL,
        phone TEXT NOT NULL,
        email TEXT NOT NULL,
        status TEXT DEFAULT 'provisioning' NOT NULL,
        template_id TEXT,
        template_version TEXT,
        database_name TEXT,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        activated_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT cabinets_pkey PRIMARY KEY (id),
        CONSTRAINT cabinets_status_check CHECK (status IN ('provisioning', 'active', 'inactive')),
        CONSTRAINT cabinets_slug_key UNIQUE (slug)
    )
    """,
    """
    CREATE TABLE tenants (
        slug TEXT NOT NULL,
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        template_id TEXT,
        template_version TEXT,
        last_good_manifest JSONB,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT tenants_pkey PRIMARY KEY (slug),
        CONSTRAINT tenants_status_check CHECK (status IN ('provisioning', 'active', 'failed', 'removed'))
    )
    """,
    """
    CREATE TABLE deployments (
        id UUID NOT NULL,
        number BIGINT GENERATED ALWAYS AS IDENTITY,
        tenant TEXT NOT NULL,
        operation TEXT NOT NULL,
        status TEXT NOT NULL,
        phase TEXT DEFAULT 'run' NOT NULL,
        correlation_id TEXT NOT NULL,
        actor TEXT NOT NULL,
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        engine TEXT NOT NULL,
        enable_rollback BOOLEAN DEFAULT true NOT NULL,
        first_create BOOLEAN DEFAULT false NOT NULL,
        manifest JSONB,
        previous_manifest JSONB,
        rollback_of UUID,
        progress INTEGER DEFAULT 0 NOT NULL,
        changes JSONB,
        error TEXT,
        leftovers JSONB,
        started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        ended_at TIMESTAMP WITH TIME ZONE,
        duration_ms BIGINT,
        CONSTRAINT deployments_pkey PRIMARY KEY (id),
        CONSTRAINT deployments_status_check CHECK (status IN (
            'running', 'succeeded', 'failed', 'rolled_back', 'rollback_failed', 'cancelled', 'interrupted'
        )),
        CONSTRAINT deployments_operation_check CHECK (operation IN ('up', 'refresh', 'destroy', 'rollback')),
        CONSTRAINT deployments_phase_check CHECK (phase IN ('run', 'rollback')),
        CONSTRAINT deployments_progress_check CHECK (progress BETWEEN 0 AND 100),
        CONSTRAINT deployments_tenant_fkey FOREIGN KEY(tenant) REFERENCES tenants (slug),
        CONSTRAINT deployments_rollback_of_fkey FOREIGN KEY(rollback_of) REFERENCES deployments (id)
    )
    """,
    """
    CREATE UNIQUE INDEX deployments_one_running_per_tenant ON deployments (tenant) WHERE status = 'running'
    """,
    """
    CREATE INDEX deployments_tenant_number_idx ON deployments (tenant, number DESC)
    """,
    """
    CREATE TABLE deployment_logs (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        deployment_id UUID NOT NULL,
        at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        level TEXT NOT NULL,
        step TEXT,
        message TEXT NOT NULL,
        CONSTRAINT deployment_logs_pkey PRIMARY KEY (id),
        CONSTRAINT deployment_logs_deployment_id_fkey FOREIGN KEY (deployment_id)
            REFERENCES deployments (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE INDEX deployment_logs_deployment_id_idx ON deployment_logs (deployment_id)
    """,
    """
    CREATE TABLE deployment_steps (
        deployment_id UUID NOT NULL,
        key TEXT NOT NULL,
        position INTEGER NOT NULL,
        title TEXT NOT NULL,
        status TEXT NOT NULL,
        attempts INTEGER DEFAULT 0 NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE,
        ended_at TIMESTAMP WITH TIME ZONE,
        duration_ms BIGINT,
        rolled_back_at TIMESTAMP WITH TIME ZONE,
        message TEXT DEFAULT '' NOT NULL,
        error TEXT,
        CONSTRAINT deployment_steps_pkey PRIMARY KEY (deployment_id, key),
        CONSTRAINT deployment_steps_status_check CHECK (
            status IN ('pending', 'running', 'completed', 'failed', 'skipped', 'rolled_back')
        ),
        CONSTRAINT deployment_steps_deployment_id_fkey FOREIGN KEY (deployment_id)
            REFERENCES deployments (id) ON DELETE CASCADE
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in ("cabinets", "deployment_logs", "deployment_steps", "deployments", "tenants"):
        op.execute(f"DROP TABLE {table}")
