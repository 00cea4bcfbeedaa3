-- By which the pepper is recognised that digests are made with: with another one no key would be found.
CREATE TABLE peppers (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    mark BLOB    NOT NULL CHECK (length (mark) = 32)
) STRICT;
