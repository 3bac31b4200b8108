-- What can be booked, when, and what is booked. The exclusion constraints make double booking impossible.

CREATE TABLE appointment_types (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code             text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9-]*$'),
    title            text NOT NULL CHECK (title <> ''),
    duration         interval NOT NULL CHECK (duration > interval '0' AND duration <= interval '8 hours'),
    bookable_online  boolean NOT NULL DEFAULT true,
    active           boolean NOT NULL DEFAULT true
);

-- The regular hours of a practitioner; weekday 1 is Monday, as in ISO 8601.
CREATE TABLE availability (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    practitioner_id  bigint NOT NULL REFERENCES practitioners (id) ON DELETE CASCADE,
    weekday          smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    opens            time NOT NULL,
    closes           time NOT NULL,
    valid_from       date NOT NULL DEFAULT current_date,
    valid_until      date,
    CHECK (opens < closes),
    CHECK (valid_until IS NULL OR valid_from <= valid_until),
    UNIQUE (practitioner_id, weekday, opens, valid_from)
);

-- Holidays, illness, congresses. Without a practitioner, the whole cabinet is closed.
CREATE TABLE absences (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    practitioner_id  bigint REFERENCES practitioners (id) ON DELETE CASCADE,
    during           tstzrange NOT NULL CHECK (NOT isempty(during)),
    reason           text
);

CREATE INDEX absences_during_idx ON absences USING gist (during);

CREATE TABLE appointments (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id           bigint NOT NULL REFERENCES patients (id) ON DELETE RESTRICT,
    practitioner_id      bigint NOT NULL REFERENCES practitioners (id) ON DELETE RESTRICT,
    chair_id             bigint REFERENCES chairs (id) ON DELETE RESTRICT,
    appointment_type_id  bigint NOT NULL REFERENCES appointment_types (id) ON DELETE RESTRICT,
    during               tstzrange NOT NULL
                         CHECK (NOT isempty(during) AND NOT lower_inf(during) AND NOT upper_inf(during)
                                AND lower_inc(during) AND NOT upper_inc(during)),
    status               text NOT NULL DEFAULT 'booked'
                         CHECK (status IN ('requested', 'booked', 'confirmed', 'arrived', 'completed', 'no_show', 'cancelled')),
    booked_online        boolean NOT NULL DEFAULT false,
    notes                text,
    cancelled_at         timestamptz,
    cancellation_reason  text,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now(),
    CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL)),
    -- int8range(x, x, '[]') stands for x: ranges have GiST support by themselves, numbers only with an extension, which
    -- a managed server may not allow.
    CONSTRAINT appointments_practitioner_free EXCLUDE USING gist
        (int8range(practitioner_id, practitioner_id, '[]') WITH &&, during WITH &&)
        WHERE (status NOT IN ('cancelled', 'no_show')),
    CONSTRAINT appointments_chair_free EXCLUDE USING gist
        (int8range(chair_id, chair_id, '[]') WITH &&, during WITH &&)
        WHERE (status NOT IN ('cancelled', 'no_show') AND chair_id IS NOT NULL),
    CONSTRAINT appointments_patient_free EXCLUDE USING gist
        (int8range(patient_id, patient_id, '[]') WITH &&, during WITH &&)
        WHERE (status NOT IN ('cancelled', 'no_show'))
);

CREATE INDEX appointments_starts_idx ON appointments (lower(during));
CREATE INDEX appointments_patient_idx ON appointments (patient_id);
CREATE INDEX appointments_type_idx ON appointments (appointment_type_id);
