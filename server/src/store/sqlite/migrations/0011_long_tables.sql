-- Lists of payments by status and by the payer's own name for them, however many payments there are. What somebody was paid
-- is a list of what is paid: the index has nothing else.
DROP INDEX payments_by_payee;
CREATE INDEX payments_paid ON payments (payee, status, seq) WHERE status IN ('succeeded', 'refunded', 'partially_refunded');
CREATE INDEX payments_by_status ON payments (payer, status, seq);
CREATE INDEX payments_by_name ON payments (payer, idempotency_key, seq) WHERE idempotency_key IS NOT NULL;

-- Pages of the audit trail by what is rare; what is not is soon found.
CREATE INDEX audit_records_by_key ON audit_records (key_id, seq);
CREATE INDEX audit_records_by_tool ON audit_records (tool, seq);
CREATE INDEX audit_records_by_outcome ON audit_records (outcome, seq) WHERE outcome <> 'ok';

-- A budget looks back a day, and a payment may be given back for as long again: what is older than both is forgotten.
CREATE TRIGGER spendings_are_forgotten AFTER INSERT ON spendings
BEGIN
    DELETE FROM spendings WHERE lineage = NEW.lineage AND minute < NEW.minute - 2 * 24 * 60;
END;
