-- When a sealing key was made: keys take turns. Those of before have had theirs.
ALTER TABLE sealing_keys ADD COLUMN made_at bigint NOT NULL DEFAULT 0;
