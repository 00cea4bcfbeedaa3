-- The same rules in other words. SQLite makes a table of its own for a list of three or more in `IN`, and for an `INSERT`
-- that selects, at every statement that looks at the rule: sixteen of them a payment, each as dear as a small write.

CREATE TABLE payments_rewritten (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT    NOT NULL UNIQUE,
    batch           TEXT,
    step            INTEGER,
    payer           INTEGER NOT NULL REFERENCES accounts (user_id),
    payee           INTEGER NOT NULL REFERENCES accounts (user_id),
    key_id          TEXT    NOT NULL,
    lineage         TEXT    NOT NULL,
    amount_minor    INTEGER NOT NULL CHECK (amount_minor > 0),
    currency        TEXT    NOT NULL,
    memo            TEXT,
    status          TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    refunded_minor  INTEGER NOT NULL DEFAULT 0,
    transfer_id     INTEGER UNIQUE REFERENCES transfers (id),
    duplicate_of    TEXT,
    idempotency_key TEXT,
    failure         TEXT,
    CHECK (payer <> payee),
    CHECK ((batch IS NULL) = (step IS NULL)),
    -- What is paid has a transfer, and nothing else has one.
    CHECK (CASE status
        WHEN 'requires_confirmation' THEN transfer_id IS NULL AND refunded_minor = 0
        WHEN 'requires_action' THEN transfer_id IS NULL AND refunded_minor = 0
        WHEN 'processing' THEN transfer_id IS NULL AND refunded_minor = 0
        WHEN 'declined' THEN transfer_id IS NULL AND refunded_minor = 0
        WHEN 'canceled' THEN transfer_id IS NULL AND refunded_minor = 0
        WHEN 'expired' THEN transfer_id IS NULL AND refunded_minor = 0
        WHEN 'failed' THEN transfer_id IS NULL AND refunded_minor = 0
        WHEN 'succeeded' THEN transfer_id IS NOT NULL AND refunded_minor = 0
        WHEN 'partially_refunded' THEN transfer_id IS NOT NULL AND refunded_minor > 0 AND refunded_minor < amount_minor
        WHEN 'refunded' THEN transfer_id IS NOT NULL AND refunded_minor = amount_minor
        ELSE FALSE END)
) STRICT;

INSERT INTO payments_rewritten (seq, id, batch, step, payer, payee, key_id, lineage, amount_minor, currency, memo, status,
    created_at, expires_at, changed_at, refunded_minor, transfer_id, duplicate_of, idempotency_key, failure)
SELECT seq, id, batch, step, payer, payee, key_id, lineage, amount_minor, currency, memo, status,
    created_at, expires_at, changed_at, refunded_minor, transfer_id, duplicate_of, idempotency_key, failure
FROM payments ORDER BY seq;

DROP TABLE payments;
ALTER TABLE payments_rewritten RENAME TO payments;

CREATE INDEX payments_by_payer ON payments (payer, seq);
CREATE INDEX payments_by_status ON payments (payer, status, seq);
CREATE INDEX payments_by_name ON payments (payer, idempotency_key, seq) WHERE idempotency_key IS NOT NULL;
CREATE INDEX payments_paid ON payments (payee, status, seq) WHERE transfer_id IS NOT NULL;
CREATE INDEX payments_by_batch ON payments (batch, step) WHERE batch IS NOT NULL;
CREATE INDEX payments_by_likeness ON payments (payer, payee, amount_minor, created_at);
CREATE INDEX payments_by_end ON payments (expires_at) WHERE status IN ('requires_confirmation', 'requires_action');
CREATE INDEX payments_in_progress ON payments (changed_at) WHERE status = 'processing';

CREATE TRIGGER payments_begin_unpaid BEFORE INSERT ON payments
WHEN NOT (NEW.status IN ('requires_confirmation', 'requires_action') OR NEW.status IN ('declined', 'failed'))
BEGIN
    SELECT RAISE (ABORT, 'a payment begins before it is paid');
END;

CREATE TRIGGER payments_are_not_replaced BEFORE INSERT ON payments
WHEN EXISTS (SELECT 1 FROM payments WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM payments WHERE seq = NEW.seq)
BEGIN
    SELECT RAISE (ABORT, 'a payment is made once');
END;

CREATE TRIGGER payments_set_aside AFTER INSERT ON payments
WHEN NEW.status IN ('requires_confirmation', 'requires_action') OR NEW.status = 'processing'
BEGIN
    INSERT INTO account_reservations (user_id, reserved_minor) VALUES (NEW.payer, NEW.amount_minor)
    ON CONFLICT (user_id) DO UPDATE SET reserved_minor = reserved_minor + NEW.amount_minor;
END;

CREATE TRIGGER payments_set_free AFTER UPDATE OF status ON payments
WHEN (OLD.status IN ('requires_confirmation', 'requires_action') OR OLD.status = 'processing')
 AND NOT (NEW.status IN ('requires_confirmation', 'requires_action') OR NEW.status = 'processing')
BEGIN
    UPDATE account_reservations SET reserved_minor = reserved_minor - NEW.amount_minor WHERE user_id = NEW.payer;
END;

CREATE TRIGGER payments_move_as_drawn BEFORE UPDATE OF status ON payments
WHEN NOT CASE OLD.status
    WHEN 'requires_confirmation' THEN NEW.status IN ('requires_action', 'processing')
        OR NEW.status IN ('succeeded', 'declined') OR NEW.status IN ('canceled', 'expired') OR NEW.status = 'failed'
    WHEN 'requires_action' THEN NEW.status IN ('processing', 'succeeded')
        OR NEW.status IN ('declined', 'canceled') OR NEW.status IN ('expired', 'failed')
    WHEN 'processing' THEN NEW.status IN ('succeeded', 'failed')
    WHEN 'succeeded' THEN NEW.status IN ('partially_refunded', 'refunded')
    WHEN 'partially_refunded' THEN NEW.status IN ('partially_refunded', 'refunded')
    ELSE FALSE END
BEGIN
    SELECT RAISE (ABORT, 'a payment does not move that way');
END;

CREATE TRIGGER payments_keep_what_was_agreed BEFORE UPDATE OF seq, id, batch, step, payer, payee, key_id, lineage,
    amount_minor, currency, memo, created_at, expires_at, duplicate_of, idempotency_key ON payments
BEGIN
    SELECT RAISE (ABORT, 'what a payment is does not change');
END;

CREATE TRIGGER payments_keep_their_transfer BEFORE UPDATE OF transfer_id, refunded_minor ON payments
WHEN (OLD.transfer_id IS NOT NULL AND NEW.transfer_id IS NOT OLD.transfer_id)
  OR NEW.refunded_minor < OLD.refunded_minor
BEGIN
    SELECT RAISE (ABORT, 'what was paid stays paid, and what was given back stays so');
END;

CREATE TRIGGER payments_are_not_removed BEFORE DELETE ON payments
BEGIN
    SELECT RAISE (ABORT, 'a payment is never removed');
END;

DROP TRIGGER transfers_are_posted_once;
CREATE TRIGGER transfers_are_posted_once BEFORE INSERT ON transfers
WHEN EXISTS (SELECT 1 FROM transfers WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM transfers WHERE seq = NEW.seq)
BEGIN
    SELECT RAISE (ABORT, 'a transfer is posted once');
END;

DROP TRIGGER transfers_are_between_accounts_of_their_currency;
CREATE TRIGGER transfers_are_between_accounts_of_their_currency BEFORE INSERT ON transfers
WHEN NEW.from_user = NEW.to_user
  OR NOT EXISTS (SELECT 1 FROM accounts WHERE user_id = NEW.from_user AND currency = NEW.currency)
  OR NOT EXISTS (SELECT 1 FROM accounts WHERE user_id = NEW.to_user AND currency = NEW.currency)
BEGIN
    SELECT RAISE (ABORT, 'a transfer is between two accounts of its currency');
END;

DROP TRIGGER transfers_have_two_entries;
CREATE TRIGGER transfers_have_two_entries AFTER INSERT ON transfers
BEGIN
    SELECT RAISE (ABORT, 'transfers are posted one after the other')
    WHERE NEW.seq <> (SELECT max (seq) FROM transfers);
    INSERT INTO entries (user_id, transfer_seq, amount_minor, balance_minor, date)
    VALUES (NEW.from_user, NEW.seq, -NEW.amount_minor, COALESCE (
        (SELECT balance_minor FROM entries WHERE user_id = NEW.from_user ORDER BY transfer_seq DESC LIMIT 1), 0
    ) - NEW.amount_minor, NEW.date);
    INSERT INTO entries (user_id, transfer_seq, amount_minor, balance_minor, date)
    VALUES (NEW.to_user, NEW.seq, NEW.amount_minor, COALESCE (
        (SELECT balance_minor FROM entries WHERE user_id = NEW.to_user ORDER BY transfer_seq DESC LIMIT 1), 0
    ) + NEW.amount_minor, NEW.date);
    SELECT RAISE (ABORT, 'a transfer has two entries')
    WHERE NOT EXISTS (SELECT 1 FROM entries WHERE user_id = NEW.from_user AND transfer_seq = NEW.seq)
       OR NOT EXISTS (SELECT 1 FROM entries WHERE user_id = NEW.to_user AND transfer_seq = NEW.seq);
END;
