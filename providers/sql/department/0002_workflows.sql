-- What workflows do: their runs, and the messages and files that they fetched or sent.

CREATE TABLE workflow_runs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant       text NOT NULL CHECK (tenant <> ''),
    workflow     text NOT NULL CHECK (workflow <> ''),
    external_id  text,
    status       text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'succeeded', 'failed', 'cancelled')),
    input        jsonb NOT NULL DEFAULT '{}',
    output       jsonb,
    error        text,
    ended_at     timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workflow, external_id)
);

CREATE INDEX workflow_runs_created_at_idx ON workflow_runs (created_at);

CREATE TABLE messages (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant       text NOT NULL CHECK (tenant <> ''),
    run_id       bigint REFERENCES workflow_runs (id) ON DELETE SET NULL,
    direction    text NOT NULL CHECK (direction IN ('in', 'out')),
    external_id  text UNIQUE,
    sender       text,
    recipients   text[] NOT NULL DEFAULT '{}',
    subject      text,
    body         text,
    created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX messages_created_at_idx ON messages (created_at);
CREATE INDEX messages_run_idx ON messages (run_id) WHERE run_id IS NOT NULL;

CREATE TABLE files (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant       text NOT NULL CHECK (tenant <> ''),
    run_id       bigint REFERENCES workflow_runs (id) ON DELETE SET NULL,
    external_id  text UNIQUE,
    name         text NOT NULL CHECK (name <> ''),
    media_type   text,
    bytes        bigint CHECK (bytes >= 0),
    url          text,
    created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX files_created_at_idx ON files (created_at);
CREATE INDEX files_run_idx ON files (run_id) WHERE run_id IS NOT NULL;
