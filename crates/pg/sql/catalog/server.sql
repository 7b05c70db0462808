-- purpose: the server, its time, the search path, and how many sessions it has.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: none.
select
  current_setting('server_version_num')::int as version_num,
  current_database()::text as database,
  clock_timestamp() as read_at,
  pg_is_in_recovery() as is_replica,
  current_schemas(false)::text[] as search_path,
  current_setting('max_connections')::int as connections_max,
  current_setting('block_size')::int as block_bytes,
  (select sum(numbackends)::int from pg_stat_database) as backends,
  (select stats_reset from pg_stat_database where datname = current_database()) as counted_since
