-- Keys and what they may pay are kept in memory as of a number of their own: a session that ends is no change of a key. The
-- other number still grows with both.
ALTER TABLE revision ADD COLUMN keys INTEGER NOT NULL DEFAULT 1;

DROP TRIGGER keys_are_revised;
CREATE TRIGGER keys_are_revised AFTER UPDATE OF digest, user_id, permissions, expires_at, revoked_at, sources ON api_keys
BEGIN
    UPDATE revision SET number = number + 1, keys = keys + 1;
END;

DROP TRIGGER policies_are_revised_when_made;
CREATE TRIGGER policies_are_revised_when_made AFTER INSERT ON payment_policies
BEGIN
    UPDATE revision SET number = number + 1, keys = keys + 1;
END;

DROP TRIGGER policies_are_revised_when_changed;
CREATE TRIGGER policies_are_revised_when_changed AFTER UPDATE ON payment_policies
BEGIN
    UPDATE revision SET number = number + 1, keys = keys + 1;
END;

DROP TRIGGER policies_are_revised_when_removed;
CREATE TRIGGER policies_are_revised_when_removed AFTER DELETE ON payment_policies
BEGIN
    UPDATE revision SET number = number + 1, keys = keys + 1;
END;
