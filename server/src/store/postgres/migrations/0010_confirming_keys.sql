-- With which key a payment was confirmed that is being assessed: whoever finishes it holds it against that key as well. Of what
-- was confirmed before, and of what an operator approves, there is none.
ALTER TABLE payments ADD COLUMN confirmed_by text COLLATE "C";
