-- purpose: how far each standby is behind the current position, by bytes and by time
-- params: none
-- locks: none
-- index: none: all of it is in memory
select
  coalesce(nullif(r.application_name, ''), host(r.client_addr), 'standby') as name,
  r.pid,
  r.pid is not null and r.state is null and r.sent_lsn is null as is_hidden,
  r.state,
  r.sync_state,
  pg_wal_lsn_diff(p.position, r.sent_lsn)::bigint as unsent_bytes,
  pg_wal_lsn_diff(p.position, r.write_lsn)::bigint as write_lag_bytes,
  pg_wal_lsn_diff(p.position, r.flush_lsn)::bigint as flush_lag_bytes,
  pg_wal_lsn_diff(p.position, r.replay_lsn)::bigint as replay_lag_bytes,
  extract(epoch from r.replay_lag)::float8 as replay_lag_s,
  extract(epoch from now() - r.reply_time)::float8 as reply_age_s
from pg_stat_replication as r
cross join (
  -- The current position and not what was sent: a standby that is behind in receiving is behind.
  select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as position
) as p
order by replay_lag_bytes desc nulls last
limit 100;
