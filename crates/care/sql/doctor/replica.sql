-- purpose: on a standby, how old what it shows is, and how many queries it had to cancel
-- params: none
-- locks: none
-- index: none: all of it is in memory
select
  pg_is_in_recovery() as is_replica,
  pg_last_wal_receive_lsn()::text as received,
  pg_last_wal_replay_lsn()::text as replayed,
  coalesce(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0)::bigint as unreplayed_bytes,
  extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 as replay_age_s,
  exists (select from pg_stat_wal_receiver as w where w.pid is not null) as has_receiver,
  coalesce(c.confl_tablespace, 0) as conflicts_tablespace,
  coalesce(c.confl_lock, 0) as conflicts_lock,
  coalesce(c.confl_snapshot, 0) as conflicts_snapshot,
  coalesce(c.confl_bufferpin, 0) as conflicts_bufferpin,
  coalesce(c.confl_deadlock, 0) as conflicts_deadlock
from pg_database as d
left join pg_stat_database_conflicts as c on c.datid = d.oid
where d.datname = current_database();
