-- purpose: every session that waits for a lock, whom it waits for, and those who hold everybody up
-- params: none
-- locks: none on user tables; pg_blocking_pids stops the lock manager for a moment, for waiting sessions only
-- index: none: sessions and locks are in memory
with waiting as materialized (
  select
    w.pid,
    -- The same session may be named once for each lock that it holds.
    array(select distinct b.pid from unnest(pg_blocking_pids(w.pid)) as b (pid) order by b.pid) as blockers,
    w.mode,
    w.locktype,
    -- Who waits for the end of a transaction does so for a row, whose table his other lock names.
    coalesce(
      w.relation,
      (select t.relation from pg_locks as t where t.pid = w.pid and t.locktype = 'tuple' order by t.relation limit 1)
    ) as relation,
    coalesce(
      w.database,
      (select t.database from pg_locks as t where t.pid = w.pid and t.locktype = 'tuple' order by t.relation limit 1)
    ) as database,
    w.waited_s
  from (
    select distinct on (l.pid)
      l.pid, l.mode, l.locktype, l.relation, l.database,
      extract(epoch from clock_timestamp() - (to_jsonb(l) ->> 'waitstart')::timestamptz)::float8 as waited_s
    from pg_locks as l
    where not l.granted and l.pid is not null and l.pid <> pg_backend_pid()
    order by l.pid, l.relation nulls last
  ) as w
  limit 1000
),
involved as (
  select w.pid from waiting as w
  union
  select b.pid from waiting as w cross join lateral unnest(w.blockers) as b (pid)
)
select
  i.pid,
  coalesce(to_jsonb(w.blockers), '[]') as blockers,
  w.mode,
  w.locktype as lock_type,
  n.nspname::text as schema,
  c.relname::text as table_name,
  coalesce(w.waited_s, extract(epoch from clock_timestamp() - s.state_change)) as waited_s,
  s.backend_start::text as backend_start,
  s.xact_start::text as transaction_start,
  s.query_start::text as statement_start,
  s.usename::text as role_name,
  s.datname::text as database,
  s.application_name as application,
  s.state,
  extract(epoch from clock_timestamp() - s.xact_start)::float8 as transaction_s,
  extract(epoch from clock_timestamp() - s.state_change)::float8 as state_s,
  s.backend_type,
  left(s.query, 200) as query
from involved as i
left join waiting as w on w.pid = i.pid
left join pg_stat_activity as s on s.pid = i.pid
left join pg_class as c
  on c.oid = w.relation and w.database = (select d.oid from pg_database as d where d.datname = current_database())
left join pg_namespace as n on n.oid = c.relnamespace
order by i.pid;
