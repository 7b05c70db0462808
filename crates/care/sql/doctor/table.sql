-- purpose: every table with its size, its counters, its settings and its key
-- params: none
-- locks: none: nothing is opened, sizes are those of pg_class
-- index: pg_class and pg_inherits by oid, pg_index by indrelid
select
  c.oid::bigint as oid,
  n.nspname::text as schema,
  c.relname::text as table_name,
  c.relkind::text as kind,
  c.relpersistence::text as persistence,
  c.relispartition as is_partition,
  (select h.inhparent::bigint from pg_inherits as h where h.inhrelid = c.oid order by h.inhseqno limit 1) as parent_oid,
  c.relpages::bigint as pages,
  c.reltuples::float8 as tuples,
  coalesce(to_jsonb(c.reloptions), '[]') as options,
  coalesce(to_jsonb(x.reloptions), '[]') as toast_options,
  coalesce(pg_stat_get_live_tuples(x.oid), 0) as toast_live,
  coalesce(pg_stat_get_dead_tuples(x.oid), 0) as toast_dead,
  coalesce(pg_stat_get_live_tuples(c.oid), 0) as live,
  coalesce(pg_stat_get_dead_tuples(c.oid), 0) as dead,
  coalesce(pg_stat_get_mod_since_analyze(c.oid), 0) as modified,
  coalesce(pg_stat_get_tuples_inserted(c.oid), 0) as inserted,
  coalesce(pg_stat_get_tuples_updated(c.oid), 0) as updated,
  coalesce(pg_stat_get_tuples_deleted(c.oid), 0) as deleted,
  extract(epoch from now() - greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)))::float8
    as vacuumed_s,
  extract(epoch from now() - greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)))::float8
    as analyzed_s,
  exists (select from pg_index as i where i.indrelid = c.oid and i.indisprimary) as has_primary_key,
  exists (
    select
    from pg_index as i
    where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null
      and i.indexprs is null
      and not exists (
        select
        from pg_attribute as a
        where a.attrelid = c.oid and not a.attnotnull
          and a.attnum = any((string_to_array(i.indkey::text, ' ')::smallint[])[1:i.indnkeyatts])
      )
  ) as has_unique_key,
  c.relreplident::text as replica_identity,
  exists (select from pg_publication_rel as p where p.prrelid = c.oid)
    or exists (select from pg_publication as p where p.puballtables) as is_published,
  exists (
    select from pg_depend as d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  ) as is_of_extension
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
left join pg_class as x on x.oid = c.reltoastrelid
where c.relkind in ('r', 'p', 'm')
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  and n.nspname not like 'pg\_temp\_%'
order by c.oid
limit 100000;
