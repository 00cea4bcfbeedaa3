-- What a key may pay is kept in memory as of a revision, as keys are. So its change makes another one.
CREATE TRIGGER policies_are_revised_when_made AFTER INSERT ON payment_policies
BEGIN
    UPDATE revision SET number = number + 1;
END;

CREATE TRIGGER policies_are_revised_when_changed AFTER UPDATE ON payment_policies
BEGIN
    UPDATE revision SET number = number + 1;
END;

CREATE TRIGGER policies_are_revised_when_removed AFTER DELETE ON payment_policies
BEGIN
    UPDATE revision SET number = number + 1;
END;

-- Whoever asks for everything that somebody paid goes along each status.
DROP INDEX payments_by_payer;
