-- purpose: ends the statement of one session, and of no other.
-- params: $1 process id, $2 since when it is there.
-- locks: none.
-- index: none; pg_stat_activity is small.
select pg_cancel_backend(a.pid)
from pg_stat_activity as a
where a.pid = $1 and a.backend_start = $2 and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
