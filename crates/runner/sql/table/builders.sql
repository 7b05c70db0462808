-- purpose: sessions that hold what a concurrent build of an index holds on its table for its whole time.
-- params: $1 table, $2 sessions of our own.
-- locks: none.
-- index: none; pg_locks is small.
select
  coalesce(l.pid, 0) as pid, a.backend_start, coalesce(a.usename::text, '') as usename,
  coalesce(a.application_name, '') as application_name, coalesce(a.state, '') as state,
  (extract(epoch from clock_timestamp() - a.xact_start) * 1000)::int8 as age_ms, coalesce(left(a.query, 200), '') as query,
  (l.mode || ' on its table')::text as holds
from pg_locks as l
left join pg_stat_activity as a on a.pid = l.pid
where l.locktype = 'relation' and l.relation = $1::oid and l.granted and l.mode = 'ShareUpdateExclusiveLock'
  and l.database = (select oid from pg_database where datname = current_database())
  and l.pid <> all ($2::int4[])
  and coalesce(a.backend_type, '') not in ('autovacuum worker')
