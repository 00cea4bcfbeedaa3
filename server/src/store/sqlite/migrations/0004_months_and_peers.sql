-- What an account's entries of a month come to, and whom it has traded with: kept as entries come, so that asking costs the
-- same however many entries there are. A month is the first seven characters of a date.
CREATE TABLE account_months (
    user_id   INTEGER NOT NULL REFERENCES accounts (user_id),
    month     TEXT    NOT NULL CHECK (length (month) = 7),
    sum_minor INTEGER NOT NULL,
    entries   INTEGER NOT NULL CHECK (entries > 0),
    PRIMARY KEY (user_id, month)
) STRICT, WITHOUT ROWID;

CREATE TABLE account_peers (
    user_id INTEGER NOT NULL REFERENCES accounts (user_id),
    peer_id INTEGER NOT NULL REFERENCES accounts (user_id),
    PRIMARY KEY (user_id, peer_id)
) STRICT, WITHOUT ROWID;

INSERT INTO account_months (user_id, month, sum_minor, entries)
SELECT user_id, substr (date, 1, 7), sum (amount_minor), count (*) FROM entries GROUP BY 1, 2;

INSERT INTO account_peers (user_id, peer_id)
SELECT from_user, to_user FROM transfers UNION SELECT to_user, from_user FROM transfers;

CREATE TRIGGER months_are_summed AFTER INSERT ON entries
BEGIN
    INSERT INTO account_months (user_id, month, sum_minor, entries)
    VALUES (NEW.user_id, substr (NEW.date, 1, 7), NEW.amount_minor, 1)
    ON CONFLICT (user_id, month) DO UPDATE SET sum_minor = sum_minor + NEW.amount_minor, entries = entries + 1;
END;

CREATE TRIGGER peers_are_known AFTER INSERT ON transfers
BEGIN
    INSERT INTO account_peers (user_id, peer_id) VALUES (NEW.from_user, NEW.to_user) ON CONFLICT DO NOTHING;
    INSERT INTO account_peers (user_id, peer_id) VALUES (NEW.to_user, NEW.from_user) ON CONFLICT DO NOTHING;
END;
