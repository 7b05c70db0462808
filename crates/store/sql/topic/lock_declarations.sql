-- purpose: let one change of declarations after the other; held until the transaction ends
-- params: $1 the key of the lock
-- locks: advisory, exclusive
-- index: none
select pg_advisory_xact_lock($1)
