-- The audit trail. A record arrives in the inbox, in the transaction of what it tells of, and waits there for nobody. From
-- the inbox it moves to its place in the chain: one server at a time does so, for all.
CREATE TABLE audit_inbox (
    arrival          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at               bigint NOT NULL,
    request_id       text   NOT NULL,
    user_id          bigint NOT NULL,
    username         text   COLLATE "C" NOT NULL,
    key_id           text   COLLATE "C" NOT NULL,
    session_hash     bytea  CHECK (length (session_hash) = 32),
    protocol         text   NOT NULL,
    client           text   NOT NULL,
    tool             text   COLLATE "C" NOT NULL,
    arguments_digest bytea  NOT NULL CHECK (length (arguments_digest) = 32),
    rule             text   NOT NULL,
    outcome          text   COLLATE "C" NOT NULL,
    duration_us      bigint NOT NULL,
    trace_id         bytea  CHECK (length (trace_id) = 16)
);

-- Each record carries a hash over itself and the hash before it. No arrival has two places.
CREATE TABLE audit_records (
    seq              bigint PRIMARY KEY,
    arrival          bigint NOT NULL UNIQUE,
    at               bigint NOT NULL,
    request_id       text   NOT NULL,
    user_id          bigint NOT NULL,
    username         text   COLLATE "C" NOT NULL,
    key_id           text   COLLATE "C" NOT NULL,
    session_hash     bytea,
    protocol         text   NOT NULL,
    client           text   NOT NULL,
    tool             text   COLLATE "C" NOT NULL,
    arguments_digest bytea  NOT NULL CHECK (length (arguments_digest) = 32),
    rule             text   NOT NULL,
    outcome          text   COLLATE "C" NOT NULL,
    duration_us      bigint NOT NULL,
    trace_id         bytea,
    hash             bytea  NOT NULL CHECK (length (hash) = 32)
);

CREATE INDEX audit_records_by_user ON audit_records (username, seq);
CREATE INDEX audit_records_by_time ON audit_records (at);

CREATE TRIGGER audit_records_are_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_records
    FOR EACH STATEMENT EXECUTE FUNCTION refuse ('the audit trail is append-only');
CREATE TRIGGER audit_inbox_is_not_changed BEFORE UPDATE OR TRUNCATE ON audit_inbox
    FOR EACH STATEMENT EXECUTE FUNCTION refuse ('the audit trail is append-only');

CREATE FUNCTION check_moved () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM audit_records WHERE arrival = OLD.arrival) THEN
        RAISE EXCEPTION 'the audit trail is append-only: a record leaves the inbox for its place in the chain';
    END IF;
    RETURN OLD;
END $$;

CREATE TRIGGER audit_inbox_is_emptied_into_the_chain BEFORE DELETE ON audit_inbox
    FOR EACH ROW EXECUTE FUNCTION check_moved ();
