-- purpose: what each table has gone through since it was last vacuumed and analysed, the largest first.
-- params: none.
-- locks: none: sizes are those of pg_class.
-- index: pg_class by oid; the counters are in memory.
select
  c.oid::bigint as oid, n.nspname::text as schema, c.relname::text as name, c.relpages::bigint as pages,
  c.reltuples::float8 as tuples, current_setting('block_size')::bigint as block_bytes,
  coalesce(pg_stat_get_live_tuples(c.oid), 0) as live_rows,
  coalesce(pg_stat_get_dead_tuples(c.oid), 0) as dead_rows,
  coalesce(pg_stat_get_mod_since_analyze(c.oid), 0) as modified_rows,
  extract(epoch from clock_timestamp()
    - greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)))::float8 as vacuumed_s,
  extract(epoch from clock_timestamp()
    - greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)))::float8 as analyzed_s,
  (
    select coalesce(sum(x.relpages), 0)::bigint
    from pg_index as i join pg_class as x on x.oid = i.indexrelid
    where i.indrelid = c.oid
  ) as index_pages
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname not like 'pg\_temp\_%'
  -- journals of runs, this one's too.
  and n.nspname not like 'posthaste\_%'
order by c.relpages desc, c.oid
limit 100000
