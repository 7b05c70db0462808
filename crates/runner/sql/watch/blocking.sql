-- purpose: who is in the way of a session that waits.
-- params: $1 its process id.
-- locks: the lock manager's own, for a moment.
-- index: none; pg_stat_activity is small.
select distinct
  coalesce(a.pid, 0) as pid, a.backend_start, coalesce(a.usename::text, '') as usename,
  coalesce(a.application_name, '') as application_name,
  case when blocker.pid = 0 then 'prepared transaction' else coalesce(a.state, '') end as state,
  (extract(epoch from clock_timestamp() - a.xact_start) * 1000)::int8 as age_ms, coalesce(left(a.query, 200), '') as query,
  null::text as holds
from unnest(pg_blocking_pids($1)) as blocker (pid)
left join pg_stat_activity as a on a.pid = blocker.pid
order by age_ms desc nulls last
