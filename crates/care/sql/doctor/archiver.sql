-- purpose: whether WAL is archived, and since when it is not
-- params: none
-- locks: none
-- index: none: one row of counters
select
  a.archived_count as archived,
  a.last_archived_wal,
  extract(epoch from now() - a.last_archived_time)::float8 as archived_s,
  a.failed_count as failed,
  a.last_failed_wal,
  extract(epoch from now() - a.last_failed_time)::float8 as failed_s,
  extract(epoch from now() - a.stats_reset)::float8 as counted_s,
  pg_is_in_recovery() as is_replica,
  exists (
    select from pg_stat_activity as s where s.application_name in ('pg_basebackup', 'pgbackrest', 'barman', 'wal-g')
  ) as has_backup_session
from pg_stat_archiver as a;
