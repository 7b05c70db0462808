-- purpose: let one node at a time upgrade, and never queue behind a stranger's lock
-- params: none
-- locks: an advisory lock until the transaction ends
-- index: none
do $$
begin
    set local lock_timeout = '3s';
    set local statement_timeout = 0;
    perform pg_advisory_xact_lock(7306084, 1);
end
$$
