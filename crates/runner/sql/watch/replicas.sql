-- purpose: how far each replica is behind.
-- params: none.
-- locks: none.
-- index: none; a row a replica.
select
  coalesce(r.application_name, '') as name,
  r.state is not null as is_visible,
  (extract(epoch from r.replay_lag) * 1000)::int8 as lag_ms,
  pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)::int8 as lag_bytes
from pg_stat_replication as r
