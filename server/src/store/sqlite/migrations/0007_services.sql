-- A service proves who it is by a token or a certificate; what names it stands beside the digest of that name.
ALTER TABLE api_keys ADD COLUMN service TEXT;

-- Whoever presented a token first is its sender until it ends.
CREATE TABLE bound_tokens (
    token      BLOB    PRIMARY KEY CHECK (length (token) = 32),
    sender     BLOB    NOT NULL CHECK (length (sender) = 32),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX bound_tokens_by_end ON bound_tokens (expires_at);
