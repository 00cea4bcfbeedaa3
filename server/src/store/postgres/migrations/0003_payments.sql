-- Payments: made, decided, and paid once. A payment moves between its states as `PaymentStatus` draws it and in no other
-- way, whatever statement tries; while it is open its amount is set aside on the payer's account.
CREATE TABLE payments (
    seq             bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id              text   COLLATE "C" NOT NULL UNIQUE,
    batch           text   COLLATE "C",
    step            bigint,
    payer           bigint NOT NULL REFERENCES accounts (user_id),
    payee           bigint NOT NULL REFERENCES accounts (user_id),
    key_id          text   COLLATE "C" NOT NULL,
    lineage         text   COLLATE "C" NOT NULL,
    amount_minor    bigint NOT NULL CHECK (amount_minor > 0),
    currency        text   COLLATE "C" NOT NULL,
    memo            text,
    status          text   COLLATE "C" NOT NULL CHECK (status IN ('requires_confirmation', 'requires_action',
        'processing', 'succeeded', 'declined', 'canceled', 'expired', 'failed', 'refunded', 'partially_refunded')),
    created_at      bigint NOT NULL,
    expires_at      bigint NOT NULL,
    changed_at      bigint NOT NULL,
    refunded_minor  bigint NOT NULL DEFAULT 0,
    transfer_id     bigint UNIQUE REFERENCES transfers (id),
    duplicate_of    text   COLLATE "C",
    idempotency_key text   COLLATE "C",
    failure         text,
    CHECK (payer <> payee),
    CHECK ((batch IS NULL) = (step IS NULL)),
    CHECK ((status IN ('succeeded', 'refunded', 'partially_refunded')) = (transfer_id IS NOT NULL)),
    CHECK (CASE status
        WHEN 'refunded' THEN refunded_minor = amount_minor
        WHEN 'partially_refunded' THEN refunded_minor > 0 AND refunded_minor < amount_minor
        ELSE refunded_minor = 0 END)
);

CREATE INDEX payments_by_payer ON payments (payer, seq);
CREATE INDEX payments_by_payee ON payments (payee, seq);
CREATE INDEX payments_by_batch ON payments (batch, step) WHERE batch IS NOT NULL;
CREATE INDEX payments_by_likeness ON payments (payer, payee, amount_minor, created_at);
CREATE INDEX payments_by_end ON payments (expires_at) WHERE status IN ('requires_confirmation', 'requires_action');
CREATE INDEX payments_in_progress ON payments (changed_at) WHERE status = 'processing';

CREATE TABLE account_reservations (
    user_id        bigint PRIMARY KEY REFERENCES accounts (user_id),
    reserved_minor bigint NOT NULL CHECK (reserved_minor >= 0)
);

CREATE TRIGGER payments_begin_unpaid BEFORE INSERT ON payments FOR EACH ROW
    WHEN (NEW.status NOT IN ('requires_confirmation', 'requires_action', 'declined', 'failed'))
    EXECUTE FUNCTION refuse ('a payment begins before it is paid');

CREATE FUNCTION set_aside () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO account_reservations AS r (user_id, reserved_minor) VALUES (NEW.payer, NEW.amount_minor)
    ON CONFLICT (user_id) DO UPDATE SET reserved_minor = r.reserved_minor + NEW.amount_minor;
    RETURN NULL;
END $$;

CREATE TRIGGER payments_set_aside AFTER INSERT ON payments FOR EACH ROW
    WHEN (NEW.status IN ('requires_confirmation', 'requires_action', 'processing'))
    EXECUTE FUNCTION set_aside ();

CREATE FUNCTION set_free () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE account_reservations SET reserved_minor = reserved_minor - NEW.amount_minor WHERE user_id = NEW.payer;
    RETURN NULL;
END $$;

CREATE TRIGGER payments_set_free AFTER UPDATE OF status ON payments FOR EACH ROW
    WHEN (OLD.status IN ('requires_confirmation', 'requires_action', 'processing')
        AND NEW.status NOT IN ('requires_confirmation', 'requires_action', 'processing'))
    EXECUTE FUNCTION set_free ();

CREATE TRIGGER payments_move_as_drawn BEFORE UPDATE OF status ON payments FOR EACH ROW
    WHEN (NOT (
        (OLD.status = 'requires_confirmation' AND NEW.status IN
            ('requires_action', 'processing', 'succeeded', 'declined', 'canceled', 'expired', 'failed'))
     OR (OLD.status = 'requires_action' AND NEW.status IN
            ('processing', 'succeeded', 'declined', 'canceled', 'expired', 'failed'))
     OR (OLD.status = 'processing' AND NEW.status IN ('succeeded', 'failed'))
     OR (OLD.status IN ('succeeded', 'partially_refunded') AND NEW.status IN ('partially_refunded', 'refunded'))))
    EXECUTE FUNCTION refuse ('a payment does not move that way');

CREATE TRIGGER payments_keep_what_was_agreed BEFORE UPDATE OF seq, id, batch, step, payer, payee, key_id, lineage,
    amount_minor, currency, memo, created_at, expires_at, duplicate_of, idempotency_key ON payments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse ('what a payment is does not change');

CREATE TRIGGER payments_keep_their_transfer BEFORE UPDATE OF transfer_id, refunded_minor ON payments FOR EACH ROW
    WHEN ((OLD.transfer_id IS NOT NULL AND NEW.transfer_id IS DISTINCT FROM OLD.transfer_id)
        OR NEW.refunded_minor < OLD.refunded_minor)
    EXECUTE FUNCTION refuse ('what was paid stays paid, and what was given back stays so');

CREATE TRIGGER payments_are_not_removed BEFORE DELETE OR TRUNCATE ON payments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse ('a payment is never removed');

-- What keys may pay; kept for the line, so that a rotated key may pay the same.
CREATE TABLE payment_policies (
    lineage               text   COLLATE "C" PRIMARY KEY,
    automatic_below_minor bigint NOT NULL CHECK (automatic_below_minor >= 0),
    maximum_minor         bigint CHECK (maximum_minor >= 0),
    day_budget_minor      bigint CHECK (day_budget_minor >= 0),
    payees                text   NOT NULL
);

CREATE TABLE spendings (
    lineage     text   COLLATE "C" NOT NULL,
    minute      bigint NOT NULL,
    spent_minor bigint NOT NULL CHECK (spent_minor >= 0),
    PRIMARY KEY (lineage, minute)
);

CREATE TABLE idempotency_records (
    user_id     bigint NOT NULL REFERENCES accounts (user_id),
    tool        text   COLLATE "C" NOT NULL,
    key         text   COLLATE "C" NOT NULL,
    fingerprint bytea  NOT NULL CHECK (length (fingerprint) = 32),
    handle      text   COLLATE "C" NOT NULL,
    expires_at  bigint NOT NULL,
    PRIMARY KEY (user_id, tool, key)
);

CREATE INDEX idempotency_records_by_end ON idempotency_records (expires_at);

-- Exposure that is to be given back to the risk service.
CREATE TABLE compensations (
    handle       text   COLLATE "C" PRIMARY KEY,
    payer        text   COLLATE "C" NOT NULL,
    payee        text   COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL,
    currency     text   COLLATE "C" NOT NULL,
    attempts     bigint NOT NULL,
    due_at       bigint NOT NULL,
    done_at      bigint
);

CREATE INDEX compensations_by_time ON compensations (due_at) WHERE done_at IS NULL;
