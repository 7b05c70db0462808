-- purpose: who replicates from here, and how far behind they are.
-- params: none.
-- locks: none.
-- index: none: it is a function.
select
  r.application_name as name,
  case when not pg_is_in_recovery() then pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)::int8 end as lag_bytes,
  (1000 * extract(epoch from r.replay_lag))::int8 as lag_ms,
  r.state is null as is_hidden
from pg_stat_replication r
where r.state is distinct from 'backup'
order by r.application_name
