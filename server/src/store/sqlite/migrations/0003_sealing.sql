-- What servers on this database seal with. The secret alone opens nothing: it is mixed with the pepper, kept elsewhere.
CREATE TABLE sealing_keys (
    id     INTEGER PRIMARY KEY CHECK (id > 0),
    secret BLOB    NOT NULL CHECK (length (secret) = 32)
) STRICT;

-- Seals that were opened and may not be opened again before they expire.
CREATE TABLE spent_seals (
    nonce      BLOB    PRIMARY KEY CHECK (length (nonce) = 24),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX spent_seals_by_end ON spent_seals (expires_at);
