-- purpose: whether the server takes writes; an error where it does not
-- params: none
-- locks: none
-- index: none
select pg_current_xact_id()::text as xid
