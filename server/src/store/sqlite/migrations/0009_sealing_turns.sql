-- When a sealing key was made: keys take turns. Those of before have had theirs.
ALTER TABLE sealing_keys ADD COLUMN made_at INTEGER NOT NULL DEFAULT 0;
