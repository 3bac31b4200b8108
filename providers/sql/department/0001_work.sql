-- What a department works on. `tenant` says whose a row is: row security compares it, and writes it where it is left out.

CREATE TABLE documents (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant        text NOT NULL CHECK (tenant <> ''),
    title         text NOT NULL CHECK (title <> ''),
    body          text NOT NULL DEFAULT '',
    content_type  text NOT NULL DEFAULT 'text/plain',
    metadata      jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX documents_created_at_idx ON documents (created_at);

CREATE TABLE settings (
    section     text PRIMARY KEY,
    tenant      text NOT NULL CHECK (tenant <> ''),
    value       jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
