-- purpose: sessions that hold a transaction open and do nothing, by the start of the transaction
-- params: none
-- locks: none on user tables
-- index: none: pg_stat_activity and the lock table are in memory
with waiting as materialized (
  select w.pid, pg_blocking_pids(w.pid) as blockers
  from (select distinct l.pid from pg_locks as l where not l.granted) as w
)
select
  s.pid,
  s.backend_start::text as backend_start,
  s.xact_start::text as transaction_start,
  coalesce(s.usename::text, '') as role_name,
  coalesce(s.datname::text, '') as database,
  coalesce(s.application_name, '') as application,
  s.state,
  extract(epoch from clock_timestamp() - s.xact_start)::float8 as transaction_s,
  extract(epoch from clock_timestamp() - s.state_change)::float8 as idle_s,
  s.backend_xid is not null as has_written,
  s.backend_xmin is not null as holds_snapshot,
  (select count(*) from waiting as w where s.pid = any(w.blockers)) as blocks,
  left(s.query, 300) as query
from pg_stat_activity as s
where s.state in ('idle in transaction', 'idle in transaction (aborted)') and s.pid <> pg_backend_pid()
order by s.xact_start
limit 100;
