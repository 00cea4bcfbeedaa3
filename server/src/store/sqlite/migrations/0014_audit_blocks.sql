-- An index of the audit trail costs more at every record than the record itself. So records are looked up by blocks of 256,
-- in the order of their numbers: what the records of a block are about is noted once, when the block is full. The records
-- that came since are few enough to be looked at one by one.
DROP INDEX audit_records_by_user;
DROP INDEX audit_records_by_key;
DROP INDEX audit_records_by_tool;
DROP INDEX audit_records_by_time;

CREATE TABLE audit_blocks (
    what  TEXT    NOT NULL CHECK (what = 'user' OR what = 'key' OR what = 'tool'),
    value TEXT    NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY (what, value, block)
) STRICT, WITHOUT ROWID;

-- A block is full when it is here. Times may go back a little from one record to the next; the newest so far does not.
CREATE TABLE audit_full_blocks (
    block     INTEGER PRIMARY KEY,
    newest_at INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_full_blocks_by_time ON audit_full_blocks (newest_at, block);

INSERT INTO audit_full_blocks (block, newest_at)
SELECT seq / 256, max (max (at)) OVER (ORDER BY seq / 256) FROM audit_records
WHERE seq / 256 < (SELECT (max (seq) + 1) / 256 FROM audit_records) GROUP BY seq / 256;

INSERT INTO audit_blocks (what, value, block)
SELECT DISTINCT 'user', username, seq / 256 FROM audit_records
WHERE seq / 256 < (SELECT (max (seq) + 1) / 256 FROM audit_records);

INSERT INTO audit_blocks (what, value, block)
SELECT DISTINCT 'key', key_id, seq / 256 FROM audit_records
WHERE seq / 256 < (SELECT (max (seq) + 1) / 256 FROM audit_records);

INSERT INTO audit_blocks (what, value, block)
SELECT DISTINCT 'tool', tool, seq / 256 FROM audit_records
WHERE seq / 256 < (SELECT (max (seq) + 1) / 256 FROM audit_records);
