-- purpose: have everything that was committed before on the disk, by committing something that is waited for
-- params: none
-- locks: none
-- index: none
select pg_logical_emit_message(true, 'posthaste', '')::text as position
