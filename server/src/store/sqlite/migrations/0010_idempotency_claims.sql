-- Idempotency keys whose call has not ended. What a server left behind when it died is let go when its time is over.
CREATE TABLE idempotency_claims (
    user_id    INTEGER NOT NULL REFERENCES accounts (user_id),
    tool       TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    call       BLOB    NOT NULL CHECK (length (call) = 16),
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, tool, key)
) STRICT, WITHOUT ROWID;
