-- purpose: tables and b-trees that are large enough for bloat to matter, with what an estimate needs
-- params: none
-- locks: none: nothing is opened
-- index: none: a scan of pg_class
select
  c.oid::bigint as oid,
  n.nspname::text as schema,
  c.relname::text as name,
  c.relkind::text as kind,
  tn.nspname::text as table_schema,
  t.relname::text as table_name,
  c.relpages::bigint as pages,
  c.reltuples::float8 as tuples,
  coalesce(to_jsonb(c.reloptions), '[]') as options,
  coalesce(pg_stat_get_mod_since_analyze(coalesce(t.oid, c.oid)), 0) as modified,
  coalesce(pg_stat_get_live_tuples(coalesce(t.oid, c.oid)), 0) as live,
  extract(epoch from now() - greatest(
    pg_stat_get_last_analyze_time(coalesce(t.oid, c.oid)), pg_stat_get_last_autoanalyze_time(coalesce(t.oid, c.oid)),
    pg_stat_get_last_vacuum_time(coalesce(t.oid, c.oid)), pg_stat_get_last_autovacuum_time(coalesce(t.oid, c.oid))
  ))::float8 as counted_s,
  exists (
    select from pg_locks as l where l.relation in (c.oid, t.oid) and l.mode = 'AccessExclusiveLock'
  ) as is_locked,
  w.columns,
  w.known,
  w.width_bytes,
  w.may_have_nulls,
  w.unknown_nulls
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
join pg_am as m on m.oid = c.relam
left join pg_index as i on i.indexrelid = c.oid
left join pg_class as t on t.oid = i.indrelid
left join pg_namespace as tn on tn.oid = t.relnamespace
join lateral (
  select
    count(*) as columns,
    count(*) filter (where a.attlen > 0 or s.avg_width is not null) as known,
    coalesce(
      sum((1 - case when a.attnotnull then 0 else coalesce(s.null_frac, 0) end) * coalesce(s.avg_width, a.attlen))
        filter (where a.attlen > 0 or s.avg_width is not null),
      0
    )::float8 as width_bytes,
    bool_or(not a.attnotnull and (s.null_frac is null or s.null_frac > 0)) as may_have_nulls,
    -- Without statistics a column that may be NULL is as good as unknown. Those of an index say nothing of NULLs.
    count(*) filter (where c.relkind <> 'i' and not a.attnotnull and s.null_frac is null) as unknown_nulls
  from pg_attribute as a
  left join pg_attribute as b
    on b.attrelid = i.indrelid and b.attnum = (string_to_array(i.indkey::text, ' ')::smallint[])[a.attnum] and b.attnum > 0
  left join pg_stats as s
    on s.schemaname = coalesce(tn.nspname, n.nspname)
    and s.tablename = coalesce(t.relname, c.relname)
    and s.attname = coalesce(b.attname, a.attname)
    and not s.inherited
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
) as w on true
where c.relpages >= 1280
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  and (
    (c.relkind in ('r', 'm') and m.amname = 'heap')
    or (c.relkind = 'i' and m.amname = 'btree' and i.indisvalid and i.indpred is null)
  )
order by c.relpages desc
limit 200;
