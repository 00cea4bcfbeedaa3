-- By which the pepper is recognised that digests are made with: with another one no key would be found.
CREATE TABLE peppers (
    one  integer PRIMARY KEY CHECK (one = 1),
    mark bytea   NOT NULL CHECK (length (mark) = 32)
);
