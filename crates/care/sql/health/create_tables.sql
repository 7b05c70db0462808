-- purpose: a view with one row a table: sizes as of the last VACUUM or ANALYZE, dead rows, and when it was vacuumed.
--   Sizes come from the catalog: functions that measure files wait behind locks.
-- params: `{schema}` is put in.
-- locks: none beyond the catalog's, when it is read.
-- index: none.
create or replace view {schema}.tables as
select
  s.relid, s.schemaname as schema_name, s.relname as table_name,
  c.relpages::bigint * current_setting('block_size')::bigint as heap_bytes,
  coalesce(toast.relpages, 0)::bigint * current_setting('block_size')::bigint as toast_bytes,
  coalesce(indexes.pages, 0)::bigint * current_setting('block_size')::bigint as index_bytes,
  s.n_live_tup as live_rows, s.n_dead_tup as dead_rows,
  round(100.0 * s.n_dead_tup / nullif(s.n_live_tup + s.n_dead_tup, 0), 1) as dead_percent_of_all,
  greatest(s.last_vacuum, s.last_autovacuum) as vacuumed_at,
  greatest(s.last_analyze, s.last_autoanalyze) as analyzed_at,
  s.n_mod_since_analyze as modified_since_analyze
from pg_catalog.pg_stat_user_tables as s
join pg_catalog.pg_class as c on c.oid = s.relid
left join pg_catalog.pg_class as toast on toast.oid = c.reltoastrelid
left join lateral (
  select sum(i.relpages) as pages
  from pg_catalog.pg_index as x join pg_catalog.pg_class as i on i.oid = x.indexrelid
  where x.indrelid = s.relid
) as indexes on true
