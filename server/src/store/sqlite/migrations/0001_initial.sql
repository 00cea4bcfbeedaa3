-- Everything the server keeps, version 1.
--
-- Times are whole milliseconds since the Unix epoch, amounts whole minor units of the account's currency.

CREATE TABLE accounts (
    user_id            INTEGER PRIMARY KEY,
    username           TEXT    NOT NULL UNIQUE,
    currency           TEXT    NOT NULL,
    credit_limit_minor INTEGER NOT NULL CHECK (credit_limit_minor >= 0)
) STRICT;

-- A transfer names both sides and the amount once; its two entries follow from it, so that they cannot disagree.
-- `seq` is the order of posting, `id` the number by which the world knows it.
CREATE TABLE transfers (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           INTEGER NOT NULL UNIQUE CHECK (id > 0),
    from_user    INTEGER NOT NULL REFERENCES accounts (user_id),
    to_user      INTEGER NOT NULL REFERENCES accounts (user_id),
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    currency     TEXT    NOT NULL,
    date         TEXT    NOT NULL CHECK (date GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
    CHECK (from_user <> to_user)
) STRICT;

-- `balance_minor` is the account's balance after the entry: the newest entry of an account carries its balance, nothing
-- is ever updated, and reading a balance costs the same however many entries there are.
CREATE TABLE entries (
    user_id       INTEGER NOT NULL REFERENCES accounts (user_id),
    transfer_seq  INTEGER NOT NULL REFERENCES transfers (seq),
    amount_minor  INTEGER NOT NULL,
    balance_minor INTEGER NOT NULL,
    date          TEXT    NOT NULL,
    PRIMARY KEY (user_id, transfer_seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX entries_by_date ON entries (user_id, date, transfer_seq);

-- The rules of the ledger hold for every connection, also one on which foreign keys are off, and for every form of a
-- statement: `OR REPLACE` would delete rows without a word and `OR IGNORE` would leave out half of a transfer, so that
-- what is there already is looked for before, and the whole is looked at after.

CREATE TRIGGER accounts_are_not_replaced BEFORE INSERT ON accounts
WHEN EXISTS (SELECT 1 FROM accounts WHERE user_id = NEW.user_id OR username = NEW.username)
BEGIN
    SELECT RAISE (ABORT, 'the account is there already');
END;

CREATE TRIGGER accounts_keep_their_owner_and_currency BEFORE UPDATE OF user_id, username, currency ON accounts
BEGIN
    SELECT RAISE (ABORT, 'an account keeps its owner and its currency');
END;

CREATE TRIGGER accounts_are_not_removed BEFORE DELETE ON accounts
BEGIN
    SELECT RAISE (ABORT, 'an account is never removed');
END;

CREATE TRIGGER transfers_are_posted_once BEFORE INSERT ON transfers
WHEN EXISTS (SELECT 1 FROM transfers WHERE seq = NEW.seq OR id = NEW.id)
BEGIN
    SELECT RAISE (ABORT, 'a transfer is posted once');
END;

CREATE TRIGGER transfers_are_between_accounts_of_their_currency BEFORE INSERT ON transfers
WHEN 2 <> (SELECT count (*) FROM accounts
           WHERE user_id IN (NEW.from_user, NEW.to_user) AND currency = NEW.currency)
BEGIN
    SELECT RAISE (ABORT, 'a transfer is between two accounts of its currency');
END;

CREATE TRIGGER transfers_have_two_entries AFTER INSERT ON transfers
BEGIN
    SELECT RAISE (ABORT, 'transfers are posted one after the other')
    WHERE NEW.seq <> (SELECT max (seq) FROM transfers);
    INSERT INTO entries (user_id, transfer_seq, amount_minor, balance_minor, date)
    SELECT NEW.from_user, NEW.seq, -NEW.amount_minor, COALESCE (
        (SELECT balance_minor FROM entries WHERE user_id = NEW.from_user ORDER BY transfer_seq DESC LIMIT 1), 0
    ) - NEW.amount_minor, NEW.date;
    INSERT INTO entries (user_id, transfer_seq, amount_minor, balance_minor, date)
    SELECT NEW.to_user, NEW.seq, NEW.amount_minor, COALESCE (
        (SELECT balance_minor FROM entries WHERE user_id = NEW.to_user ORDER BY transfer_seq DESC LIMIT 1), 0
    ) + NEW.amount_minor, NEW.date;
    SELECT RAISE (ABORT, 'a transfer has two entries')
    WHERE 2 <> (SELECT count (*) FROM entries
                WHERE user_id IN (NEW.from_user, NEW.to_user) AND transfer_seq = NEW.seq);
END;

CREATE TRIGGER entries_are_one_side_of_their_transfer BEFORE INSERT ON entries
WHEN NOT EXISTS (
    SELECT 1 FROM transfers
    WHERE seq = NEW.transfer_seq AND date = NEW.date
      AND (   (from_user = NEW.user_id AND NEW.amount_minor = -amount_minor)
           OR (to_user   = NEW.user_id AND NEW.amount_minor =  amount_minor)))
BEGIN
    SELECT RAISE (ABORT, 'an entry is one side of its transfer');
END;

CREATE TRIGGER balances_are_sums BEFORE INSERT ON entries
WHEN NEW.balance_minor <> NEW.amount_minor + COALESCE (
         (SELECT balance_minor FROM entries WHERE user_id = NEW.user_id ORDER BY transfer_seq DESC LIMIT 1), 0)
  OR EXISTS (SELECT 1 FROM entries WHERE user_id = NEW.user_id AND transfer_seq >= NEW.transfer_seq)
BEGIN
    SELECT RAISE (ABORT, 'a balance is the sum of the entries so far');
END;

CREATE TRIGGER transfers_are_not_changed BEFORE UPDATE ON transfers
BEGIN
    SELECT RAISE (ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER transfers_are_not_removed BEFORE DELETE ON transfers
BEGIN
    SELECT RAISE (ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER entries_are_not_changed BEFORE UPDATE ON entries
BEGIN
    SELECT RAISE (ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER entries_are_not_removed BEFORE DELETE ON entries
BEGIN
    SELECT RAISE (ABORT, 'the ledger is append-only');
END;

-- A key's secret is not here: `digest` is its HMAC-SHA256 under a pepper that is kept elsewhere.
CREATE TABLE api_keys (
    id         TEXT    PRIMARY KEY,
    digest     BLOB    NOT NULL UNIQUE CHECK (length (digest) = 32),
    user_id    INTEGER NOT NULL REFERENCES accounts (user_id),
    role       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    mode       TEXT    NOT NULL CHECK (mode IN ('demo', 'live')),
    last_four  TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- `hash` is the SHA-256 of a session id; the id is its owner's secret.
CREATE TABLE sessions (
    hash        BLOB    PRIMARY KEY CHECK (length (hash) = 32),
    user_id     INTEGER NOT NULL REFERENCES accounts (user_id),
    key_id      TEXT    NOT NULL REFERENCES api_keys (id),
    permissions INTEGER NOT NULL,
    protocol    TEXT    NOT NULL,
    client      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_key ON sessions (key_id);
CREATE INDEX sessions_by_age ON sessions (created_at);
CREATE INDEX sessions_by_use ON sessions (seen_at);

-- How many sessions each key has, so that a cap costs the same however many there are.
CREATE TABLE session_counts (
    key_id TEXT    PRIMARY KEY,
    open   INTEGER NOT NULL CHECK (open >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE session_total (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    open INTEGER NOT NULL CHECK (open >= 0)
) STRICT;

INSERT INTO session_total (one, open) VALUES (1, 0);

CREATE TRIGGER sessions_are_counted AFTER INSERT ON sessions
BEGIN
    INSERT INTO session_counts (key_id, open) VALUES (NEW.key_id, 1) ON CONFLICT (key_id) DO UPDATE SET open = open + 1;
    UPDATE session_total SET open = open + 1;
END;

CREATE TRIGGER sessions_are_discounted AFTER DELETE ON sessions
BEGIN
    UPDATE session_counts SET open = open - 1 WHERE key_id = OLD.key_id;
    UPDATE session_total SET open = open - 1;
END;

CREATE TABLE audit_records (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    at               INTEGER NOT NULL,
    request_id       TEXT    NOT NULL,
    user_id          INTEGER NOT NULL,
    username         TEXT    NOT NULL,
    key_id           TEXT    NOT NULL,
    session_hash     BLOB,
    protocol         TEXT    NOT NULL,
    client           TEXT    NOT NULL,
    tool             TEXT    NOT NULL,
    arguments_digest BLOB    NOT NULL CHECK (length (arguments_digest) = 32),
    rule             TEXT    NOT NULL,
    outcome          TEXT    NOT NULL,
    duration_us      INTEGER NOT NULL
) STRICT;

CREATE TRIGGER audit_records_are_not_changed BEFORE UPDATE ON audit_records
BEGIN
    SELECT RAISE (ABORT, 'the audit trail is append-only');
END;

CREATE TRIGGER audit_records_are_not_removed BEFORE DELETE ON audit_records
BEGIN
    SELECT RAISE (ABORT, 'the audit trail is append-only');
END;

CREATE TRIGGER audit_records_are_not_replaced BEFORE INSERT ON audit_records
WHEN EXISTS (SELECT 1 FROM audit_records WHERE seq = NEW.seq)
BEGIN
    SELECT RAISE (ABORT, 'the audit trail is append-only');
END;

-- Written to when somebody asks whether writing works.
CREATE TABLE checks (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at  INTEGER NOT NULL
) STRICT;

INSERT INTO checks (one, at) VALUES (1, 0);
