-- purpose: one snapshot for all that is read of a catalog.
-- params: none.
-- locks: none.
-- index: none.
begin isolation level repeatable read read only
