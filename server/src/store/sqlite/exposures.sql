-- What the risk service decided about each payment. It is made when a risk service opens its database, and no step of the
-- payment server's schema: that one never has it.
CREATE TABLE IF NOT EXISTS exposures (
    client       INTEGER NOT NULL REFERENCES accounts (user_id),
    payment      TEXT    NOT NULL,
    payer        TEXT    NOT NULL,
    payee        TEXT    NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    currency     TEXT    NOT NULL,
    decision     TEXT    NOT NULL CHECK (decision IN
        ('approved', 'over_payment_bound', 'over_payer_bound', 'released')),
    at           INTEGER NOT NULL,
    PRIMARY KEY (client, payment)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS exposures_by_payer ON exposures (client, payer, currency, at) WHERE decision = 'approved';
CREATE INDEX IF NOT EXISTS exposures_by_time ON exposures (at);
