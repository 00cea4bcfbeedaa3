-- Keys are kept in memory as of a number of their own: a session that ends is no change of a key. The other number still grows
-- with both.
ALTER TABLE revision ADD COLUMN keys bigint NOT NULL DEFAULT 1;

CREATE OR REPLACE FUNCTION revise_keys () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE revision SET number = number + 1, keys = keys + 1;
    RETURN NULL;
END $$;
