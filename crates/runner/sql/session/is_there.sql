-- purpose: whether one session is still there.
-- params: $1 process id, $2 since when it is there.
-- locks: none.
-- index: none; pg_stat_activity is small.
select exists (select 1 from pg_stat_activity as a where a.pid = $1 and a.backend_start = $2)
