-- purpose: what every check may ask about the server, this role and this database
-- params: none
-- locks: none on user tables
-- index: pg_database by name; the rest are settings, counters and lock tables in memory
select
  current_setting('server_version_num')::integer as version_num,
  current_setting('server_version') as version,
  d.datname::text as database,
  current_user::text as role_name,
  pg_has_role(current_user, 'pg_read_all_stats', 'usage') as reads_all_stats,
  pg_is_in_recovery() as is_replica,
  extract(epoch from now())::float8 as now_s,
  extract(epoch from now() - pg_postmaster_start_time())::float8 as up_s,
  extract(epoch from now() - greatest(s.stats_reset, b.stats_reset))::float8 as counters_age_s,
  current_setting('block_size')::bigint as block_bytes,
  (
    select jsonb_object_agg(t.name, jsonb_build_object('value', t.setting, 'unit', t.unit, 'source', t.source))
    from pg_settings as t
    where t.name = any(array[
      'archive_command', 'archive_library', 'archive_mode', 'autovacuum', 'autovacuum_analyze_scale_factor',
      'autovacuum_analyze_threshold', 'autovacuum_freeze_max_age', 'autovacuum_max_workers', 'autovacuum_naptime',
      'autovacuum_multixact_freeze_max_age', 'autovacuum_vacuum_cost_delay', 'autovacuum_vacuum_cost_limit',
      'autovacuum_vacuum_scale_factor', 'autovacuum_vacuum_threshold', 'checkpoint_timeout', 'data_checksums',
      'effective_cache_size', 'fsync', 'full_page_writes', 'hot_standby_feedback',
      'idle_in_transaction_session_timeout', 'lock_timeout', 'log_lock_waits', 'maintenance_work_mem',
      'max_connections', 'max_prepared_transactions', 'max_slot_wal_keep_size', 'max_wal_size', 'reserved_connections',
      'session_replication_role', 'shared_buffers', 'statement_timeout', 'superuser_reserved_connections',
      'synchronous_commit', 'synchronous_standby_names', 'track_activities', 'track_counts', 'track_io_timing',
      'vacuum_cost_limit', 'wal_level', 'work_mem', 'zero_damaged_pages', 'ignore_checksum_failure',
      'ignore_system_indexes'
    ])
  ) as settings,
  coalesce(
    (
      select jsonb_object_agg(e.extname, jsonb_build_object('schema', n.nspname))
      from pg_extension as e
      join pg_namespace as n on n.oid = e.extnamespace
    ),
    '{}'
  ) as extensions,
  coalesce(
    (
      select jsonb_agg(distinct l.relation::bigint)
      from pg_locks as l
      where l.mode = 'AccessExclusiveLock' and l.database = d.oid and l.relation is not null
        and l.pid is distinct from pg_backend_pid()
    ),
    '[]'
  ) as exclusively_locked,
  (select count(*) from pg_stat_replication) as replicas
from pg_database as d
left join pg_stat_database as s on s.datid = d.oid
cross join pg_stat_bgwriter as b
where d.datname = current_database();
