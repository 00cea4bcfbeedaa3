-- To look before every record whether there is one of its number costs more than to append it. A replaced record shows
-- in the chain, and where triggers are recursive, as they are on this program's connections, it counts as removed.
DROP TRIGGER audit_records_are_not_replaced;
