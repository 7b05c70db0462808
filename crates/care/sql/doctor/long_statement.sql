-- purpose: statements of clients that have been running for a while
-- params: none
-- locks: none on user tables
-- index: none: pg_stat_activity is in memory
select
  s.pid,
  s.backend_start::text as backend_start,
  s.query_start::text as statement_start,
  coalesce(s.usename::text, '') as role_name,
  coalesce(s.datname::text, '') as database,
  coalesce(s.application_name, '') as application,
  extract(epoch from clock_timestamp() - s.query_start)::float8 as statement_s,
  extract(epoch from clock_timestamp() - s.xact_start)::float8 as transaction_s,
  s.wait_event_type as waits_for,
  s.wait_event,
  left(s.query, 300) as query
from pg_stat_activity as s
where s.backend_type = 'client backend'
  and s.state = 'active'
  and s.pid <> pg_backend_pid()
  and s.query_start < clock_timestamp() - interval '1 second'
order by s.query_start
limit 100;
