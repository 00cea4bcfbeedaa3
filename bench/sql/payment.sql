-- What one payment asks of PostgreSQL, as the server asks it: a transaction that prepares it and one that pays it. For
-- pgbench; the payers are those that the load generator makes.
\set payer random(0, 15)
\set payee (:payer + 1) % 16
\set amount random(1, 10000)
\set nonce random(1, 9000000000000000000)

BEGIN;
SELECT p.user_id AS from_user, k.id AS key_id, (SELECT user_id FROM accounts WHERE username = 'payer-' || :payee) AS to_user
FROM accounts p JOIN api_keys k ON k.user_id = p.user_id WHERE p.username = 'payer-' || :payer \gset
SELECT user_id FROM accounts
WHERE user_id = ANY (ARRAY[:from_user, (SELECT user_id FROM accounts WHERE username = 'payer-' || :payee)])
ORDER BY user_id FOR NO KEY UPDATE;
SELECT a.user_id, a.username, a.currency, COALESCE ((
           SELECT balance_minor FROM entries e WHERE e.user_id = a.user_id
           ORDER BY transfer_seq DESC LIMIT 1), 0), a.credit_limit_minor, COALESCE (r.reserved_minor, 0)
FROM accounts a LEFT JOIN account_reservations r ON r.user_id = a.user_id
WHERE a.user_id = ANY (ARRAY[:from_user, (SELECT user_id FROM accounts WHERE username = 'payer-' || :payee)])
ORDER BY a.user_id;
SELECT k.id, k.digest, k.user_id, a.username, k.role, k.name, k.mode, k.last_four, k.created_at, k.expires_at, k.revoked_at,
    k.permissions, k.lineage, k.sources, u.used_at, k.service
FROM api_keys k JOIN accounts a USING (user_id) LEFT JOIN key_uses u ON u.key_id = k.id
WHERE k.id = :key_id FOR SHARE OF k;
SELECT automatic_below_minor, maximum_minor, day_budget_minor, payees FROM payment_policies
WHERE lineage = (SELECT lineage FROM api_keys WHERE id = :key_id);
INSERT INTO payments (id, payer, payee, key_id, lineage, amount_minor, currency, status, created_at, expires_at, changed_at,
    duplicate_of)
VALUES ('bench-' || :nonce, :from_user, :to_user, :key_id, :key_id, :amount, 'USD', 'requires_confirmation',
    extract (epoch FROM now ())::bigint * 1000, extract (epoch FROM now ())::bigint * 1000 + 86400000,
    extract (epoch FROM now ())::bigint * 1000, (
        SELECT s.id FROM payments s
        WHERE s.payer = :from_user AND s.payee = :to_user AND s.amount_minor = :amount
          AND s.created_at >= extract (epoch FROM now ())::bigint * 1000 - 600000
          AND s.status NOT IN ('declined', 'canceled', 'expired', 'failed')
        ORDER BY s.created_at DESC, s.seq DESC LIMIT 1))
ON CONFLICT (id) DO NOTHING
RETURNING seq, (SELECT username FROM accounts WHERE user_id = payer), (SELECT username FROM accounts WHERE user_id = payee),
    memo, duplicate_of, idempotency_key, failure;
INSERT INTO spendings AS s (lineage, minute, spent_minor)
VALUES (:key_id, extract (epoch FROM now ())::bigint / 60, :amount)
ON CONFLICT (lineage, minute) DO UPDATE SET spent_minor = s.spent_minor + :amount;
INSERT INTO audit_inbox (at, request_id, user_id, username, key_id, protocol, client, tool, arguments_digest, rule, outcome,
    duration_us)
VALUES (0, 'bench', :from_user, 'payer', :key_id, '2025-11-25', 'bench/1', 'createPayment', sha256 ('{}'),
    'payments', 'ok', 0);
COMMIT;

BEGIN;
SELECT p.seq, p.id, p.batch, p.step, p.payer, p.payee, p.key_id, p.lineage, p.amount_minor, p.currency, p.memo, p.status,
    p.created_at, p.expires_at, p.changed_at, p.refunded_minor, p.transfer_id, p.duplicate_of, p.idempotency_key, p.failure,
    payer.username, payee.username
FROM payments p JOIN accounts payer ON payer.user_id = p.payer JOIN accounts payee ON payee.user_id = p.payee
WHERE p.id = 'bench-' || :nonce FOR NO KEY UPDATE OF p;
SELECT user_id FROM accounts WHERE user_id IN (:from_user, :to_user) ORDER BY user_id FOR NO KEY UPDATE;
SELECT a.user_id, a.username, a.currency, COALESCE ((
           SELECT balance_minor FROM entries e WHERE e.user_id = a.user_id
           ORDER BY transfer_seq DESC LIMIT 1), 0), a.credit_limit_minor, COALESCE (r.reserved_minor, 0)
FROM accounts a LEFT JOIN account_reservations r ON r.user_id = a.user_id
WHERE a.user_id IN (:from_user, :to_user) ORDER BY a.user_id;
SELECT k.id, k.digest, k.user_id, a.username, k.role, k.name, k.mode, k.last_four, k.created_at, k.expires_at, k.revoked_at,
    k.permissions, k.lineage, k.sources, u.used_at, k.service
FROM api_keys k JOIN accounts a USING (user_id) LEFT JOIN key_uses u ON u.key_id = k.id
WHERE k.id = :key_id FOR SHARE OF k;
SELECT automatic_below_minor, maximum_minor, day_budget_minor, payees FROM payment_policies
WHERE lineage = (SELECT lineage FROM api_keys WHERE id = :key_id);
WITH posted AS (
    INSERT INTO transfers (id, from_user, to_user, amount_minor, currency, date)
    VALUES (nextval ('transfer_ids'), :from_user, :to_user, :amount, 'USD', to_char (now (), 'YYYY-MM-DD')) RETURNING id)
UPDATE payments SET status = 'succeeded', changed_at = extract (epoch FROM now ())::bigint * 1000, transfer_id = posted.id
FROM posted WHERE payments.id = 'bench-' || :nonce RETURNING transfer_id;
INSERT INTO audit_inbox (at, request_id, user_id, username, key_id, protocol, client, tool, arguments_digest, rule, outcome,
    duration_us)
VALUES (0, 'bench', :from_user, 'payer', :key_id, '2025-11-25', 'bench/1', 'confirmPayment', sha256 ('{}'),
    'payments', 'ok', 0);
COMMIT;
