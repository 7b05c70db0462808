-- purpose: tables and what can be used as one, with sizes and counters; sizes are those of the last VACUUM or ANALYZE.
-- params: $1 tables that would have to be waited for.
-- locks: what a text is made of opens its table: those that anybody holds or awaits ACCESS EXCLUSIVE on are left out.
-- index: the catalogs' own.
select
  c.oid,
  n.nspname::text as schema,
  c.relname::text as name,
  c.relkind::text as kind,
  pg_get_userbyid(c.relowner)::text as owner,
  c.relpersistence = 'u' as is_unlogged,
  coalesce(a.amname::text, '') as access_method,
  coalesce(s.spcname::text, '') as tablespace,
  c.relrowsecurity as has_row_security,
  c.relforcerowsecurity as forces_row_security,
  c.reloptions as options,
  c.relreplident::text as replica_identity,
  c.reltuples::float8 as rows,
  -- From 14 on that of an analysed partitioned table is -1.
  greatest(c.relpages, 0) as pages,
  coalesce(t.relpages, 0) as toast_pages,
  pg_get_expr(c.relpartbound, 0) as bound,
  p.partstrat::text as strategy,
  (
    select array_agg(coalesce(k.attname::text, '') order by place)
    from unnest(p.partattrs) with ordinality as key (number, place)
    left join pg_attribute k on k.attrelid = c.oid and k.attnum = key.number
  ) as key_columns,
  case when c.oid <> all ($1::oid[]) then pg_get_partkeydef(c.oid) end as key_definition,
  has_any_column_privilege(c.oid, 'select') and not row_security_active(c.oid) as is_readable,
  pg_stat_get_tuples_inserted(c.oid) as inserted,
  pg_stat_get_tuples_updated(c.oid) as updated,
  pg_stat_get_tuples_deleted(c.oid) as deleted,
  pg_stat_get_live_tuples(c.oid) as live_rows,
  pg_stat_get_dead_tuples(c.oid) as dead_rows,
  pg_stat_get_mod_since_analyze(c.oid) as modified,
  pg_stat_get_numscans(c.oid) as scans,
  greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) as analyzed_at,
  greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) as vacuumed_at
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_am a on a.oid = c.relam
left join pg_tablespace s on s.oid = c.reltablespace
left join pg_class t on t.oid = c.reltoastrelid
left join pg_partitioned_table p on p.partrelid = c.oid
where c.relkind in ('r', 'p', 'f', 'v', 'm', 'c')
  and c.relpersistence <> 't'
  and n.nspname !~ '^pg_'
  and n.nspname <> 'information_schema'
order by n.nspname, c.relname
