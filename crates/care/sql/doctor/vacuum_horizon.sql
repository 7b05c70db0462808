-- purpose: who keeps VACUUM from removing dead rows: sessions, prepared transactions, slots, feedback of standbys
-- params: none
-- locks: none on user tables
-- index: none: all of it is in memory
select h.holder, h.name, h.pid, h.backend_start, h.transaction_start, h.age_xids, h.held_s, h.state, h.query
from (
  select
    'session' as holder,
    coalesce(nullif(s.application_name, ''), s.usename::text, 'session') as name,
    s.pid,
    s.backend_start::text as backend_start,
    s.xact_start::text as transaction_start,
    greatest(age(s.backend_xmin), age(s.backend_xid))::bigint as age_xids,
    extract(epoch from clock_timestamp() - s.xact_start)::float8 as held_s,
    s.state,
    left(s.query, 200) as query
  from pg_stat_activity as s
  where (s.backend_xmin is not null or s.backend_xid is not null)
    and s.pid <> pg_backend_pid()
    and s.backend_type is distinct from 'walsender'
    and s.backend_type is distinct from 'autovacuum worker'
  union all
  select 'prepared-transaction', p.gid, null, null, null, age(p.transaction)::bigint,
    extract(epoch from clock_timestamp() - p.prepared)::float8, null, null
  from pg_prepared_xacts as p
  union all
  select 'slot', r.slot_name::text, r.active_pid, null, null, age(r.xmin)::bigint, null,
    case when r.active then 'active' else 'inactive' end, null
  from pg_replication_slots as r
  where r.xmin is not null
  union all
  select 'slot-catalog', r.slot_name::text, r.active_pid, null, null, age(r.catalog_xmin)::bigint, null,
    case when r.active then 'active' else 'inactive' end, null
  from pg_replication_slots as r
  where r.catalog_xmin is not null
  union all
  select 'standby', coalesce(nullif(w.application_name, ''), host(w.client_addr), 'standby'), w.pid, null, null,
    age(w.backend_xmin)::bigint, null, w.state, null
  from pg_stat_replication as w
  where w.backend_xmin is not null
) as h
order by h.age_xids desc nulls last
limit 20;
