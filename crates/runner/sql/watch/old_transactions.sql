-- purpose: transactions that a concurrent build of an index will wait for, before it is sent.
-- params: $1 older than so many milliseconds, $2 sessions of our own.
-- locks: none.
-- index: none; pg_stat_activity is small.
select
  a.pid, a.backend_start, coalesce(a.usename::text, '') as usename, coalesce(a.application_name, '') as application_name,
  coalesce(a.state, '') as state, (extract(epoch from clock_timestamp() - a.xact_start) * 1000)::int8 as age_ms,
  coalesce(left(a.query, 200), '') as query, null::text as holds
from pg_stat_activity as a
where a.datname = current_database() and a.backend_type = 'client backend'
  and a.xact_start < clock_timestamp() - make_interval(secs => $1::float8 / 1000)
  and a.pid <> all ($2::int4[])
order by age_ms desc nulls last
limit 20
