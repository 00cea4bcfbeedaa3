-- Whoever asks for everything that somebody paid goes along each status.
DROP INDEX payments_by_payer;
