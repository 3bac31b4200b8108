"""Jobs, their events, manifests by version, audit trail, members, webhooks, rate limits, metric totals, workers.

Plain SQL on purpose, as in 0001.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CHANGES = (
    "ALTER TABLE tenants ADD COLUMN line TEXT DEFAULT 'cabinet' NOT NULL",
    "ALTER TABLE tenants ADD COLUMN manifest_version INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE tenants DROP CONSTRAINT tenants_status_check",
    """
    ALTER TABLE tenants ADD CONSTRAINT tenants_status_check
        CHECK (status IN ('pending', 'provisioning', 'active', 'failed', 'removed'))
    """,
    "CREATE INDEX tenants_status_idx ON tenants (status)",
    "ALTER TABLE deployments ADD COLUMN job_id UUID",
    "CREATE INDEX deployments_job_id_idx ON deployments (job_id) WHERE job_id IS NOT NULL",
)

TABLES = (
    """
    CREATE TABLE audit (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        actor TEXT NOT NULL,
        address TEXT,
        action TEXT NOT NULL,
        tenant TEXT,
        object TEXT,
        job_id UUID,
        correlation_id TEXT NOT NULL,
        before JSONB,
        after JSONB,
        CONSTRAINT audit_pkey PRIMARY KEY (id)
    )
    """,
    """
    CREATE INDEX audit_actor_id_idx ON audit (actor, id DESC)
    """,
    """
    CREATE INDEX audit_tenant_id_idx ON audit (tenant, id DESC)
    """,
    """
    CREATE TABLE jobs (
        id UUID NOT NULL,
        number BIGINT GENERATED ALWAYS AS IDENTITY,
        tenant TEXT NOT NULL,
        line TEXT NOT NULL,
        operation TEXT NOT NULL,
        status TEXT DEFAULT 'pending' NOT NULL,
        manifest_version INTEGER,
        options JSONB DEFAULT '{}'::jsonb NOT NULL,
        actor TEXT NOT NULL,
        address TEXT,
        correlation_id TEXT NOT NULL,
        idempotency_key TEXT,
        request_hash TEXT,
        retry_of UUID,
        deployment_id UUID,
        attempts INTEGER DEFAULT 0 NOT NULL,
        worker TEXT,
        lease_until TIMESTAMP WITH TIME ZONE,
        not_before TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        published_at TIMESTAMP WITH TIME ZONE,
        cancel_requested_at TIMESTAMP WITH TIME ZONE,
        cancel_requested_by TEXT,
        progress INTEGER DEFAULT 0 NOT NULL,
        current_step TEXT,
        event_seq BIGINT DEFAULT 0 NOT NULL,
        message TEXT DEFAULT '' NOT NULL,
        error JSONB,
        result JSONB,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE,
        ended_at TIMESTAMP WITH TIME ZONE,
        duration_ms BIGINT,
        CONSTRAINT jobs_pkey PRIMARY KEY (id),
        CONSTRAINT jobs_status_check CHECK (status IN (
            'pending', 'running', 'succeeded', 'failed', 'rolled_back', 'rollback_failed', 'cancelled'
        )),
        CONSTRAINT jobs_operation_check
            CHECK (operation IN ('preview', 'up', 'refresh', 'destroy', 'rollback')),
        CONSTRAINT jobs_progress_check CHECK (progress BETWEEN 0 AND 100),
        CONSTRAINT jobs_lease_check
            CHECK ((status = 'running') = (lease_until IS NOT NULL AND worker IS NOT NULL)),
        CONSTRAINT jobs_ended_check CHECK ((status IN ('pending', 'running')) = (ended_at IS NULL))
    )
    """,
    """
    CREATE UNIQUE INDEX jobs_idempotency_key ON jobs (actor, idempotency_key)
        WHERE idempotency_key IS NOT NULL
    """,
    """
    CREATE UNIQUE INDEX jobs_number_idx ON jobs (number DESC)
    """,
    """
    CREATE UNIQUE INDEX jobs_one_active_per_tenant ON jobs (tenant)
        WHERE status IN ('pending', 'running') AND operation <> 'preview'
    """,
    """
    CREATE INDEX jobs_pending_idx ON jobs (not_before, number) WHERE status = 'pending'
    """,
    """
    CREATE INDEX jobs_running_idx ON jobs (lease_until) WHERE status = 'running'
    """,
    """
    CREATE INDEX jobs_actor_number_idx ON jobs (actor, number DESC)
    """,
    """
    CREATE INDEX jobs_status_number_idx ON jobs (status, number DESC)
    """,
    """
    CREATE INDEX jobs_tenant_number_idx ON jobs (tenant, number DESC)
    """,
    """
    CREATE TABLE metric_totals (
        metric TEXT NOT NULL,
        labels TEXT NOT NULL,
        part TEXT NOT NULL,
        value DOUBLE PRECISION NOT NULL,
        CONSTRAINT metric_totals_pkey PRIMARY KEY (metric, labels, part)
    )
    """,
    """
    CREATE TABLE rate_limit_hits (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        caller TEXT NOT NULL,
        kind TEXT NOT NULL,
        at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT rate_limit_hits_pkey PRIMARY KEY (id)
    )
    """,
    """
    CREATE INDEX rate_limit_hits_caller_idx ON rate_limit_hits (caller, kind, at)
    """,
    """
    CREATE TABLE rate_limit_windows (
        caller TEXT NOT NULL,
        kind TEXT NOT NULL,
        number BIGINT NOT NULL,
        hits BIGINT NOT NULL,
        before BIGINT NOT NULL,
        CONSTRAINT rate_limit_windows_pkey PRIMARY KEY (caller, kind)
    )
    """,
    """
    CREATE TABLE workers (
        id TEXT NOT NULL,
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        concurrency INTEGER NOT NULL,
        queue TEXT NOT NULL,
        draining BOOLEAN DEFAULT false NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT workers_pkey PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE job_events (
        job_id UUID NOT NULL,
        seq BIGINT NOT NULL,
        at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        kind TEXT NOT NULL,
        data JSONB NOT NULL,
        CONSTRAINT job_events_pkey PRIMARY KEY (job_id, seq),
        CONSTRAINT job_events_kind_check CHECK (kind IN ('job', 'step', 'progress', 'log', 'end')),
        CONSTRAINT job_events_job_id_fkey FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE manifests (
        tenant TEXT NOT NULL,
        version INTEGER NOT NULL,
        manifest JSONB NOT NULL,
        actor TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT manifests_pkey PRIMARY KEY (tenant, version),
        CONSTRAINT manifests_tenant_fkey FOREIGN KEY(tenant) REFERENCES tenants (slug) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE tenant_members (
        tenant TEXT NOT NULL,
        subject TEXT NOT NULL,
        role TEXT NOT NULL,
        added_by TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT tenant_members_pkey PRIMARY KEY (tenant, subject),
        CONSTRAINT tenant_members_role_check CHECK (role IN ('owner', 'admin', 'member')),
        CONSTRAINT tenant_members_tenant_fkey
            FOREIGN KEY(tenant) REFERENCES tenants (slug) ON DELETE CASCADE
    )
    """,
    """
    CREATE INDEX tenant_members_subject_idx ON tenant_members (subject)
    """,
    """
    CREATE TABLE webhooks (
        id UUID NOT NULL,
        tenant TEXT,
        url TEXT NOT NULL,
        description TEXT DEFAULT '' NOT NULL,
        events JSONB NOT NULL,
        secret BYTEA NOT NULL,
        active BOOLEAN DEFAULT true NOT NULL,
        failures INTEGER DEFAULT 0 NOT NULL,
        disabled_at TIMESTAMP WITH TIME ZONE,
        disabled_reason TEXT,
        created_by TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT webhooks_pkey PRIMARY KEY (id),
        CONSTRAINT webhooks_tenant_fkey FOREIGN KEY(tenant) REFERENCES tenants (slug) ON DELETE CASCADE
    )
    """,
    """
    CREATE INDEX webhooks_tenant_idx ON webhooks (tenant)
    """,
    """
    CREATE TABLE webhook_deliveries (
        id UUID NOT NULL,
        number BIGINT GENERATED ALWAYS AS IDENTITY,
        webhook_id UUID NOT NULL,
        event TEXT NOT NULL,
        payload JSONB NOT NULL,
        status TEXT DEFAULT 'pending' NOT NULL,
        attempts INTEGER DEFAULT 0 NOT NULL,
        next_attempt_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        claimed_until TIMESTAMP WITH TIME ZONE,
        answers JSONB DEFAULT '[]'::jsonb NOT NULL,
        resend_of UUID,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        ended_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id),
        CONSTRAINT webhook_deliveries_status_check CHECK (status IN (
            'pending', 'delivered', 'failed', 'dropped'
        )),
        CONSTRAINT webhook_deliveries_webhook_id_fkey
            FOREIGN KEY(webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE INDEX webhook_deliveries_due_idx ON webhook_deliveries (next_attempt_at)
        WHERE status = 'pending'
    """,
    """
    CREATE INDEX webhook_deliveries_ended_idx ON webhook_deliveries (ended_at)
        WHERE ended_at IS NOT NULL
    """,
    """
    CREATE INDEX webhook_deliveries_webhook_number_idx ON webhook_deliveries (webhook_id, number DESC)
    """,
)

# The one way to add an event, for the service, the workers and the operations' own processes. The job's row is locked
# while the number is given, so numbers are committed in order; listeners are told when the transaction commits.
EVENT_FUNCTION = """
    CREATE FUNCTION tenantry_event(of_job UUID, event_kind TEXT, event_data JSONB) RETURNS BIGINT LANGUAGE plpgsql AS $$
    DECLARE
        next_seq BIGINT;
    BEGIN
        UPDATE jobs SET event_seq = event_seq + 1 WHERE id = of_job RETURNING event_seq INTO next_seq;
        IF next_seq IS NULL THEN
            RETURN NULL;
        END IF;
        INSERT INTO job_events (job_id, seq, kind, data) VALUES (of_job, next_seq, event_kind, event_data);
        PERFORM pg_notify('tenantry_events', of_job || ' ' || next_seq);
        RETURN next_seq;
    END
    $$
"""


def upgrade() -> None:
    for statement in (*CHANGES, *TABLES, EVENT_FUNCTION):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP FUNCTION tenantry_event(UUID, TEXT, JSONB)")
    for table in (
        *(
            "workers",
            "metric_totals",
            "rate_limit_windows",
            "rate_limit_hits",
            "webhook_deliveries",
            "webhooks",
            "tenant_members",
            "audit",
        ),
        *("job_events", "jobs", "manifests"),
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("ALTER TABLE deployments DROP COLUMN job_id")
    op.execute("DROP INDEX tenants_status_idx")
    op.execute("ALTER TABLE tenants DROP COLUMN manifest_version, DROP COLUMN line")
    op.execute("DELETE FROM tenants WHERE status = 'pending'")
    op.execute("ALTER TABLE tenants DROP CONSTRAINT tenants_status_check")
    op.execute(
        "ALTER TABLE tenants ADD CONSTRAINT tenants_status_check "
        "CHECK (status IN ('provisioning', 'active', 'failed', 'removed'))"
    )
