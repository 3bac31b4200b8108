-- How the cabinet is set up, whom it tells what, and who changed what.

-- One row per section, written by Tenantry; others may be added by the application.
CREATE TABLE settings (
    section     text PRIMARY KEY,
    value       jsonb NOT NULL,
    template    text NOT NULL DEFAULT '',
    updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE notifications (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    appointment_id  bigint REFERENCES appointments (id) ON DELETE CASCADE,
    patient_id      bigint NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    kind            text NOT NULL CHECK (kind IN ('confirmation', 'reminder', 'change', 'cancellation', 'message')),
    channel         text NOT NULL CHECK (channel IN ('email', 'sms')),
    status          text NOT NULL DEFAULT 'scheduled' CHECK (status IN ('scheduled', 'sent', 'failed', 'cancelled')),
    scheduled_for   timestamptz NOT NULL,
    sent_at         timestamptz,
    attempts        integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    error           text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK ((status = 'sent') = (sent_at IS NOT NULL)),
    UNIQUE (appointment_id, kind, channel, scheduled_for)
);

CREATE INDEX notifications_due_idx ON notifications (scheduled_for) WHERE status = 'scheduled';
CREATE INDEX notifications_patient_idx ON notifications (patient_id);

-- The application may add to it, and may not change it.
CREATE TABLE audit_log (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    actor      text NOT NULL,
    action     text NOT NULL CHECK (action IN ('insert', 'update', 'delete', 'read', 'export')),
    entity     text NOT NULL,
    entity_id  text,
    old_value  jsonb,
    new_value  jsonb
);

CREATE INDEX audit_log_entity_idx ON audit_log (entity, entity_id);
CREATE INDEX audit_log_at_idx ON audit_log USING brin (at);

-- The application's role needs no rights on this function: a trigger runs with those of the one who changes the row,
-- who may add to audit_log.
CREATE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO %I.audit_log (actor, action, entity, entity_id, old_value, new_value) VALUES ($1, $2, $3, $4, $5, $6)',
        TG_TABLE_SCHEMA
    ) USING
        session_user::text,
        lower(TG_OP),
        TG_TABLE_NAME::text,
        coalesce(to_jsonb(NEW) ->> 'id', to_jsonb(OLD) ->> 'id'),
        CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END,
        CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    RETURN NULL;
END
$$;

CREATE TRIGGER patients_audit AFTER INSERT OR UPDATE OR DELETE ON patients
    FOR EACH ROW EXECUTE FUNCTION record_change();
CREATE TRIGGER appointments_audit AFTER INSERT OR UPDATE OR DELETE ON appointments
    FOR EACH ROW EXECUTE FUNCTION record_change();
