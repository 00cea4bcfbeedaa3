-- Idempotency keys whose call has not ended. What a server left behind when it died is let go when its time is over.
-- Unlogged: after a crash of the database no call goes on.
CREATE UNLOGGED TABLE idempotency_claims (
    user_id    bigint NOT NULL,
    tool       text   COLLATE "C" NOT NULL,
    key        text   COLLATE "C" NOT NULL,
    call       bytea  NOT NULL CHECK (length (call) = 16),
    expires_at bigint NOT NULL,
    PRIMARY KEY (user_id, tool, key)
);
