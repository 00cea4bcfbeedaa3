-- Payments: made, decided, and paid once. A payment moves between its states as `PaymentStatus` draws it and in no other
-- way, whatever statement tries; while it is open its amount is set aside on the payer's account.
CREATE TABLE payments (
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
    status          TEXT    NOT NULL CHECK (status IN ('requires_confirmation', 'requires_action', 'processing',
        'succeeded', 'declined', 'canceled', 'expired', 'failed', 'refunded', 'partially_refunded')),
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
    CHECK ((status IN ('succeeded', 'refunded', 'partially_refunded')) = (transfer_id IS NOT NULL)),
    CHECK (CASE status
        WHEN 'refunded' THEN refunded_minor = amount_minor
        WHEN 'partially_refunded' THEN refunded_minor > 0 AND refunded_minor < amount_minor
        ELSE refunded_minor = 0 END)
) STRICT;

CREATE INDEX payments_by_payer ON payments (payer, seq);
CREATE INDEX payments_by_payee ON payments (payee, seq);
CREATE INDEX payments_by_batch ON payments (batch, step) WHERE batch IS NOT NULL;
CREATE INDEX payments_by_likeness ON payments (payer, payee, amount_minor, created_at);
CREATE INDEX payments_by_end ON payments (expires_at) WHERE status IN ('requires_confirmation', 'requires_action');
CREATE INDEX payments_in_progress ON payments (changed_at) WHERE status = 'processing';

CREATE TABLE account_reservations (
    user_id        INTEGER PRIMARY KEY REFERENCES accounts (user_id),
    reserved_minor INTEGER NOT NULL CHECK (reserved_minor >= 0)
) STRICT;

CREATE TRIGGER payments_begin_unpaid BEFORE INSERT ON payments
WHEN NEW.status NOT IN ('requires_confirmation', 'requires_action', 'declined', 'failed')
BEGIN
    SELECT RAISE (ABORT, 'a payment begins before it is paid');
END;

CREATE TRIGGER payments_are_not_replaced BEFORE INSERT ON payments
WHEN EXISTS (SELECT 1 FROM payments WHERE id = NEW.id OR seq = NEW.seq)
BEGIN
    SELECT RAISE (ABORT, 'a payment is made once');
END;

CREATE TRIGGER payments_set_aside AFTER INSERT ON payments
WHEN NEW.status IN ('requires_confirmation', 'requires_action', 'processing')
BEGIN
    INSERT INTO account_reservations (user_id, reserved_minor) VALUES (NEW.payer, NEW.amount_minor)
    ON CONFLICT (user_id) DO UPDATE SET reserved_minor = reserved_minor + NEW.amount_minor;
END;

CREATE TRIGGER payments_set_free AFTER UPDATE OF status ON payments
WHEN OLD.status IN ('requires_confirmation', 'requires_action', 'processing')
 AND NEW.status NOT IN ('requires_confirmation', 'requires_action', 'processing')
BEGIN
    UPDATE account_reservations SET reserved_minor = reserved_minor - NEW.amount_minor WHERE user_id = NEW.payer;
END;

CREATE TRIGGER payments_move_as_drawn BEFORE UPDATE OF status ON payments
WHEN NOT (
    (OLD.status = 'requires_confirmation' AND NEW.status IN
        ('requires_action', 'processing', 'succeeded', 'declined', 'canceled', 'expired', 'failed'))
 OR (OLD.status = 'requires_action' AND NEW.status IN
        ('processing', 'succeeded', 'declined', 'canceled', 'expired', 'failed'))
 OR (OLD.status = 'processing' AND NEW.status IN ('succeeded', 'failed'))
 OR (OLD.status IN ('succeeded', 'partially_refunded') AND NEW.status IN ('partially_refunded', 'refunded')))
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

-- What keys may pay; kept for the line, so that a rotated key may pay the same.
CREATE TABLE payment_policies (
    lineage               TEXT    PRIMARY KEY,
    automatic_below_minor INTEGER NOT NULL CHECK (automatic_below_minor >= 0),
    maximum_minor         INTEGER CHECK (maximum_minor >= 0),
    day_budget_minor      INTEGER CHECK (day_budget_minor >= 0),
    payees                TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE spendings (
    lineage     TEXT    NOT NULL,
    minute      INTEGER NOT NULL,
    spent_minor INTEGER NOT NULL CHECK (spent_minor >= 0),
    PRIMARY KEY (lineage, minute)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_records (
    user_id     INTEGER NOT NULL REFERENCES accounts (user_id),
    tool        TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL CHECK (length (fingerprint) = 32),
    handle      TEXT    NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (user_id, tool, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_records_by_end ON idempotency_records (expires_at);

-- Exposure that is to be given back to the risk service.
CREATE TABLE compensations (
    handle       TEXT    PRIMARY KEY,
    payer        TEXT    NOT NULL,
    payee        TEXT    NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency     TEXT    NOT NULL,
    attempts     INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    done_at      INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX compensations_by_time ON compensations (due_at) WHERE done_at IS NULL;
