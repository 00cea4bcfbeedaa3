-- What a key may do is kept with it as bits, whose meaning is the identity room's; roles are names of such sets.
ALTER TABLE api_keys ADD COLUMN permissions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN lineage TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN sources TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN used_at INTEGER;

UPDATE api_keys SET lineage = id, permissions = CASE role
    WHEN 'customer'  THEN 79
    WHEN 'read-only' THEN 67
    WHEN 'auditor'   THEN 80
    WHEN 'operator'  THEN 96
    ELSE 0 END;

ALTER TABLE sessions ADD COLUMN lineage TEXT NOT NULL DEFAULT '';
UPDATE sessions SET lineage = key_id;
CREATE INDEX sessions_by_lineage ON sessions (lineage);

-- Grows whenever a key is changed or a session is ended, so that every process can see cheaply that it should look.
CREATE TABLE revision (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO revision (one, number) VALUES (1, 1);

CREATE TRIGGER keys_are_revised AFTER UPDATE OF digest, user_id, permissions, expires_at, revoked_at, sources ON api_keys
BEGIN
    UPDATE revision SET number = number + 1;
END;

CREATE TRIGGER ended_sessions_are_revised AFTER DELETE ON sessions
BEGIN
    UPDATE revision SET number = number + 1;
END;
