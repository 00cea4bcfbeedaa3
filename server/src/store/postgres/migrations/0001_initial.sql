-- Everything the server keeps, version 1.
--
-- Times are whole milliseconds since the Unix epoch, amounts whole minor units of the account's currency. Texts are compared
-- by their bytes, whatever the database's locale is.

CREATE FUNCTION refuse () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0];
END $$;

CREATE TABLE accounts (
    user_id            bigint PRIMARY KEY,
    username           text   COLLATE "C" NOT NULL UNIQUE,
    currency           text   COLLATE "C" NOT NULL,
    credit_limit_minor bigint NOT NULL CHECK (credit_limit_minor >= 0)
);

CREATE TRIGGER accounts_keep_their_owner_and_currency BEFORE UPDATE OF user_id, username, currency ON accounts
    FOR EACH ROW EXECUTE FUNCTION refuse ('an account keeps its owner and its currency');
CREATE TRIGGER accounts_are_not_removed BEFORE DELETE OR TRUNCATE ON accounts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse ('an account is never removed');

-- A transfer names both sides and the amount once; its two entries follow from it, so that they cannot disagree.
-- `seq` is the order of posting, `id` the number by which the world knows it.
CREATE SEQUENCE transfer_seqs;
CREATE SEQUENCE transfer_ids;

CREATE TABLE transfers (
    seq          bigint PRIMARY KEY,
    id           bigint NOT NULL UNIQUE CHECK (id > 0),
    from_user    bigint NOT NULL REFERENCES accounts (user_id),
    to_user      bigint NOT NULL REFERENCES accounts (user_id),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency     text   COLLATE "C" NOT NULL,
    date         text   COLLATE "C" NOT NULL CHECK (date ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'),
    CHECK (from_user <> to_user)
);

-- `balance_minor` is the account's balance after the entry: the newest entry of an account carries its balance, nothing
-- is ever updated, and reading a balance costs the same however many entries there are.
CREATE TABLE entries (
    user_id       bigint NOT NULL REFERENCES accounts (user_id),
    transfer_seq  bigint NOT NULL REFERENCES transfers (seq),
    amount_minor  bigint NOT NULL,
    balance_minor bigint NOT NULL,
    date          text   COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, transfer_seq)
);

CREATE INDEX entries_by_date ON entries (user_id, date, transfer_seq);

-- Both accounts are locked, in the order of their numbers, before the transfer gets its place in the order: of two
-- transfers of one account the one with the lower place was there wholly before the other began.
CREATE FUNCTION begin_transfer () RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found_accounts integer := 0;
BEGIN
    PERFORM 1 FROM accounts WHERE user_id IN (NEW.from_user, NEW.to_user) AND currency = NEW.currency
    ORDER BY user_id FOR NO KEY UPDATE;
    GET DIAGNOSTICS found_accounts = ROW_COUNT;
    IF found_accounts <> 2 THEN
        RAISE EXCEPTION 'a transfer is between two accounts of its currency';
    END IF;
    NEW.seq := nextval('transfer_seqs');
    RETURN NEW;
END $$;

CREATE TRIGGER transfers_are_between_accounts_of_their_currency BEFORE INSERT ON transfers
    FOR EACH ROW EXECUTE FUNCTION begin_transfer ();

CREATE FUNCTION enter_transfer () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO entries (user_id, transfer_seq, amount_minor, balance_minor, date)
    SELECT side.user_id, NEW.seq, side.amount_minor, side.amount_minor + COALESCE (
        (SELECT e.balance_minor FROM entries e WHERE e.user_id = side.user_id ORDER BY e.transfer_seq DESC LIMIT 1), 0),
        NEW.date
    FROM (VALUES (NEW.from_user, -NEW.amount_minor), (NEW.to_user, NEW.amount_minor)) AS side (user_id, amount_minor);
    RETURN NULL;
END $$;

CREATE TRIGGER transfers_have_two_entries AFTER INSERT ON transfers
    FOR EACH ROW EXECUTE FUNCTION enter_transfer ();

CREATE FUNCTION check_entry () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM transfers
        WHERE seq = NEW.transfer_seq AND date = NEW.date
          AND (   (from_user = NEW.user_id AND NEW.amount_minor = -amount_minor)
               OR (to_user   = NEW.user_id AND NEW.amount_minor =  amount_minor)))
    THEN
        RAISE EXCEPTION 'an entry is one side of its transfer';
    END IF;
    IF NEW.balance_minor <> NEW.amount_minor + COALESCE (
           (SELECT balance_minor FROM entries WHERE user_id = NEW.user_id ORDER BY transfer_seq DESC LIMIT 1), 0)
       OR EXISTS (SELECT 1 FROM entries WHERE user_id = NEW.user_id AND transfer_seq >= NEW.transfer_seq)
    THEN
        RAISE EXCEPTION 'a balance is the sum of the entries so far';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER entries_are_one_side_of_their_transfer BEFORE INSERT ON entries
    FOR EACH ROW EXECUTE FUNCTION check_entry ();

CREATE TRIGGER transfers_are_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse ('the ledger is append-only');
CREATE TRIGGER entries_are_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse ('the ledger is append-only');

-- What an account's entries of a month come to, and whom it has traded with: kept as entries come, so that asking costs the
-- same however many entries there are. A month is the first seven characters of a date.
CREATE TABLE account_months (
    user_id   bigint NOT NULL REFERENCES accounts (user_id),
    month     text   COLLATE "C" NOT NULL CHECK (length (month) = 7),
    sum_minor bigint NOT NULL,
    entries   bigint NOT NULL CHECK (entries > 0),
    PRIMARY KEY (user_id, month)
);

CREATE TABLE account_peers (
    user_id bigint NOT NULL REFERENCES accounts (user_id),
    peer_id bigint NOT NULL REFERENCES accounts (user_id),
    PRIMARY KEY (user_id, peer_id)
);

CREATE FUNCTION sum_month () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO account_months AS m (user_id, month, sum_minor, entries)
    VALUES (NEW.user_id, substr (NEW.date, 1, 7), NEW.amount_minor, 1)
    ON CONFLICT (user_id, month) DO UPDATE SET sum_minor = m.sum_minor + NEW.amount_minor, entries = m.entries + 1;
    RETURN NULL;
END $$;

CREATE TRIGGER months_are_summed AFTER INSERT ON entries FOR EACH ROW EXECUTE FUNCTION sum_month ();

CREATE FUNCTION know_peers () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO account_peers (user_id, peer_id)
    VALUES (NEW.from_user, NEW.to_user), (NEW.to_user, NEW.from_user) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER peers_are_known AFTER INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION know_peers ();

-- A key's secret is not here: `digest` is its HMAC-SHA256 under a pepper that is kept elsewhere. What it may do are bits,
-- whose meaning is the identity room's.
CREATE TABLE api_keys (
    id          text   COLLATE "C" PRIMARY KEY,
    digest      bytea  NOT NULL UNIQUE CHECK (length (digest) = 32),
    user_id     bigint NOT NULL REFERENCES accounts (user_id),
    role        text   NOT NULL,
    name        text   NOT NULL,
    mode        text   NOT NULL CHECK (mode IN ('demo', 'live')),
    last_four   text   NOT NULL,
    created_at  bigint NOT NULL,
    expires_at  bigint,
    revoked_at  bigint,
    permissions bigint NOT NULL,
    lineage     text   COLLATE "C" NOT NULL,
    sources     text   NOT NULL,
    service     text
);

CREATE INDEX api_keys_by_lineage ON api_keys (lineage);

-- When a key was last accepted. Apart from the key, so that noting it waits for nobody who needs the key to stay as it is.
CREATE TABLE key_uses (
    key_id  text   COLLATE "C" PRIMARY KEY REFERENCES api_keys (id),
    used_at bigint NOT NULL
);

-- `hash` is the SHA-256 of a session id; the id is its owner's secret. `abilities`: what the client can be asked, as bits
-- whose meaning is the engine's.
CREATE TABLE sessions (
    hash        bytea  PRIMARY KEY CHECK (length (hash) = 32),
    user_id     bigint NOT NULL REFERENCES accounts (user_id),
    key_id      text   COLLATE "C" NOT NULL REFERENCES api_keys (id),
    lineage     text   COLLATE "C" NOT NULL,
    permissions bigint NOT NULL,
    protocol    text   NOT NULL,
    client      text   NOT NULL,
    abilities   bigint NOT NULL,
    created_at  bigint NOT NULL,
    seen_at     bigint NOT NULL
);

CREATE INDEX sessions_by_key ON sessions (key_id);
CREATE INDEX sessions_by_lineage ON sessions (lineage);
CREATE INDEX sessions_by_age ON sessions (created_at);
CREATE INDEX sessions_by_use ON sessions (seen_at);

-- How many sessions each key has, so that a cap costs the same however many there are.
CREATE TABLE session_counts (
    key_id text   COLLATE "C" PRIMARY KEY,
    open   bigint NOT NULL CHECK (open >= 0)
);

CREATE TABLE session_total (
    one  integer PRIMARY KEY CHECK (one = 1),
    open bigint  NOT NULL CHECK (open >= 0)
);

INSERT INTO session_total (one, open) VALUES (1, 0);

-- Grows whenever a key is changed or a session is ended, so that every server can see cheaply that it should look.
CREATE TABLE revision (
    one    integer PRIMARY KEY CHECK (one = 1),
    number bigint  NOT NULL
);

INSERT INTO revision (one, number) VALUES (1, 1);

CREATE FUNCTION count_sessions () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE session_total SET open = open + (SELECT count (*) FROM opened);
    INSERT INTO session_counts AS c (key_id, open)
    SELECT key_id, count (*) FROM opened GROUP BY key_id ORDER BY key_id
    ON CONFLICT (key_id) DO UPDATE SET open = c.open + EXCLUDED.open;
    RETURN NULL;
END $$;

CREATE TRIGGER sessions_are_counted AFTER INSERT ON sessions
    REFERENCING NEW TABLE AS opened FOR EACH STATEMENT EXECUTE FUNCTION count_sessions ();

CREATE FUNCTION discount_sessions () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM ended) THEN
        UPDATE session_total SET open = open - (SELECT count (*) FROM ended);
        UPDATE session_counts c SET open = c.open - e.many
        FROM (SELECT key_id, count (*) AS many FROM ended GROUP BY key_id) e WHERE c.key_id = e.key_id;
        UPDATE revision SET number = number + 1;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER sessions_are_discounted AFTER DELETE ON sessions
    REFERENCING OLD TABLE AS ended FOR EACH STATEMENT EXECUTE FUNCTION discount_sessions ();

CREATE FUNCTION revise_keys () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE revision SET number = number + 1;
    RETURN NULL;
END $$;

CREATE TRIGGER keys_are_revised AFTER UPDATE OF digest, user_id, permissions, expires_at, revoked_at, sources ON api_keys
    FOR EACH ROW EXECUTE FUNCTION revise_keys ();

-- What servers on this database seal with. The secret alone opens nothing: it is mixed with the pepper, kept elsewhere.
CREATE TABLE sealing_keys (
    id     bigint PRIMARY KEY CHECK (id > 0),
    secret bytea  NOT NULL CHECK (length (secret) = 32)
);

-- Seals that were opened and may not be opened again before they expire.
CREATE TABLE spent_seals (
    nonce      bytea  PRIMARY KEY CHECK (length (nonce) = 24),
    expires_at bigint NOT NULL
);

CREATE INDEX spent_seals_by_end ON spent_seals (expires_at);

-- Whoever presented a token first is its sender until it ends.
CREATE TABLE bound_tokens (
    token      bytea  PRIMARY KEY CHECK (length (token) = 32),
    sender     bytea  NOT NULL CHECK (length (sender) = 32),
    expires_at bigint NOT NULL
);

CREATE INDEX bound_tokens_by_end ON bound_tokens (expires_at);

-- Written to when somebody asks whether writing works.
CREATE TABLE checks (
    one integer PRIMARY KEY CHECK (one = 1),
    at  bigint  NOT NULL
);

INSERT INTO checks (one, at) VALUES (1, 0);
