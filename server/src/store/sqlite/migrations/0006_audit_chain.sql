-- Each record carries a hash over itself and the hash before it. Records from before this have none.
ALTER TABLE audit_records ADD COLUMN trace_id BLOB CHECK (trace_id IS NULL OR length (trace_id) = 16);
ALTER TABLE audit_records ADD COLUMN hash BLOB CHECK (hash IS NULL OR length (hash) = 32);
CREATE INDEX audit_records_by_user ON audit_records (username, seq);
CREATE INDEX audit_records_by_time ON audit_records (at);
