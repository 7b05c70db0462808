-- purpose: how many sessions wait for one of ours.
-- params: $1 our process id.
-- locks: the lock manager's own, for a moment.
-- index: none; pg_stat_activity is small.
select count(*)
from pg_stat_activity as a
where a.wait_event_type = 'Lock' and $1 = any (pg_blocking_pids(a.pid))
