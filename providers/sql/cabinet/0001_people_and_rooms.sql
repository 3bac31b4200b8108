-- Who works and who is treated, and where.

CREATE TABLE practitioners (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title           text,
    given_name      text NOT NULL CHECK (given_name <> ''),
    family_name     text NOT NULL CHECK (family_name <> ''),
    speciality      text NOT NULL DEFAULT 'general',
    licence_number  text UNIQUE,
    email           text,
    phone           text,
    color           text CHECK (color ~ '^#[0-9A-Fa-f]{6}$'),
    active          boolean NOT NULL DEFAULT true,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE patients (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number           text UNIQUE,
    given_name       text NOT NULL CHECK (given_name <> ''),
    family_name      text NOT NULL CHECK (family_name <> ''),
    birth_date       date CHECK (birth_date >= DATE '1900-01-01'),
    email            text,
    phone            text,
    street           text,
    postal_code      text,
    city             text,
    country          text CHECK (country ~ '^[A-Z]{2}$'),
    locale           text,
    guardian_id      bigint REFERENCES patients (id) ON DELETE SET NULL,
    guardian_name    text,
    allergies        text,
    medical_notes    text,
    email_consent    boolean NOT NULL DEFAULT false,
    sms_consent      boolean NOT NULL DEFAULT false,
    archived_at      timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CHECK (guardian_id IS DISTINCT FROM id)
);

CREATE INDEX patients_name_idx ON patients (lower(family_name), lower(given_name));
CREATE INDEX patients_email_idx ON patients (lower(email)) WHERE email IS NOT NULL;
CREATE INDEX patients_guardian_idx ON patients (guardian_id) WHERE guardian_id IS NOT NULL;

CREATE TABLE rooms (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (name <> ''),
    floor       text,
    active      boolean NOT NULL DEFAULT true
);

CREATE TABLE chairs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    room_id     bigint REFERENCES rooms (id) ON DELETE RESTRICT,
    name        text NOT NULL UNIQUE CHECK (name <> ''),
    equipment   jsonb NOT NULL DEFAULT '{}',
    active      boolean NOT NULL DEFAULT true
);

CREATE INDEX chairs_room_idx ON chairs (room_id);
