-- purpose: replication slots and the WAL that each of them keeps
-- params: none
-- locks: none
-- index: none: all of it is in memory
select
  s.slot_name::text as name,
  s.slot_type,
  s.plugin::text as plugin,
  s.database::text as database,
  s.active as is_active,
  s.active_pid,
  s.temporary as is_temporary,
  to_jsonb(s) ->> 'wal_status' as wal_status,
  to_jsonb(s) ->> 'invalidation_reason' as invalidation_reason,
  (to_jsonb(s) ->> 'safe_wal_size')::bigint as safe_bytes,
  extract(epoch from now() - (to_jsonb(s) ->> 'inactive_since')::timestamptz)::float8 as inactive_s,
  pg_wal_lsn_diff(p.position, s.restart_lsn)::bigint as kept_bytes,
  age(s.xmin)::bigint as xmin_age,
  age(s.catalog_xmin)::bigint as catalog_xmin_age
from pg_replication_slots as s
cross join (
  select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as position
) as p
order by kept_bytes desc nulls last
limit 100;
