-- A row, with sixteen columns and a place in a tree, costs more than the record that is in it. So records that are written
-- together are one row: their words are JSON, and their hashes are bytes.
CREATE TABLE audit_packs (
    -- The number of its last record; those before it have the numbers before.
    last    INTEGER PRIMARY KEY,
    -- Of each record 112 bytes: of its arguments 32, of its session 32, its trace's id 16, of itself and all before it 32.
    -- What it does not have is zero.
    hashes  BLOB NOT NULL CHECK (length (hashes) > 0 AND length (hashes) % 112 = 0),
    -- A JSON array of each: time, request id, user's id and name, key's id, protocol, client, tool, rule, outcome, duration.
    records TEXT NOT NULL
) STRICT;

INSERT INTO audit_packs (last, hashes, records)
SELECT seq,
       unhex (replace (format ('%-64.64s%-64.64s%-32.32s%-64.64s', hex (arguments_digest), hex (session_hash),
                               hex (trace_id), hex (hash)), ' ', '0')),
       json_array (json_array (at, request_id, user_id, username, key_id, protocol, client, tool, rule, outcome,
                               duration_us))
FROM audit_records ORDER BY seq;

-- How a record ended is noted as what it is about is.
CREATE TABLE audit_notes (
    what  TEXT    NOT NULL CHECK (what = 'user' OR what = 'key' OR what = 'tool' OR what = 'outcome'),
    value TEXT    NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY (what, value, block)
) STRICT, WITHOUT ROWID;

INSERT INTO audit_notes (what, value, block) SELECT what, value, block FROM audit_blocks;
INSERT INTO audit_notes (what, value, block)
SELECT DISTINCT 'outcome', outcome, seq / 256 FROM audit_records
WHERE seq / 256 < (SELECT COALESCE (max (block) + 1, 0) FROM audit_full_blocks);
DROP TABLE audit_blocks;
ALTER TABLE audit_notes RENAME TO audit_blocks;

DROP TABLE audit_records;

CREATE TRIGGER audit_packs_are_not_changed BEFORE UPDATE ON audit_packs
BEGIN
    SELECT RAISE (ABORT, 'the audit trail is append-only');
END;

CREATE TRIGGER audit_packs_are_not_removed BEFORE DELETE ON audit_packs
BEGIN
    SELECT RAISE (ABORT, 'the audit trail is append-only');
END;

-- The trail for whoever reads it with SQL alone, one record a row.
CREATE VIEW audit_records AS
SELECT p.last - json_array_length (p.records) + 1 + r.key AS seq,
       r.value ->> 0 AS at,
       r.value ->> 1 AS request_id,
       r.value ->> 2 AS user_id,
       r.value ->> 3 AS username,
       r.value ->> 4 AS key_id,
       NULLIF (substr (p.hashes, 112 * r.key + 33, 32), zeroblob (32)) AS session_hash,
       r.value ->> 5 AS protocol,
       r.value ->> 6 AS client,
       r.value ->> 7 AS tool,
       substr (p.hashes, 112 * r.key + 1, 32) AS arguments_digest,
       r.value ->> 8 AS rule,
       r.value ->> 9 AS outcome,
       r.value ->> 10 AS duration_us,
       NULLIF (substr (p.hashes, 112 * r.key + 65, 16), zeroblob (16)) AS trace_id,
       NULLIF (substr (p.hashes, 112 * r.key + 81, 32), zeroblob (32)) AS hash
FROM audit_packs p, json_each (p.records) r;
