-- What the client of a session can be asked: bits, whose meaning is the engine's. Sessions of before could be asked nothing.
ALTER TABLE sessions ADD COLUMN abilities INTEGER NOT NULL DEFAULT 0;
