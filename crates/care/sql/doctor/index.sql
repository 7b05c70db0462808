-- purpose: every index of user tables with all that makes two of them the same, or one of them needed
-- params: none
-- locks: ACCESS SHARE for a moment on tables with an invalid index, where nobody holds or asks for more; else none:
--   sizes are those of pg_class, expressions are compared as stored trees
-- index: pg_index by indexrelid and indrelid, pg_class, pg_attribute and pg_constraint by oid
with build as materialized (
  select b.index_relid
  from pg_stat_progress_create_index as b
  where b.datname = current_database() and b.index_relid is not null
),
hidden_build as materialized (
  select count(*) as builds from pg_stat_progress_create_index as b where b.relid is null
),
backed as materialized (
  select k.conindid, (array_agg(k.conname::text order by k.contype))[1] as constraint_name,
    (array_agg(k.contype::text order by k.contype))[1] as constraint_type
  from pg_constraint as k
  where k.conindid <> 0 and k.contype in ('p', 'u', 'x')
  group by k.conindid
),
referred as materialized (
  select k.conindid, count(*) as keys from pg_constraint as k where k.contype = 'f' and k.conindid <> 0 group by 1
),
exclusive as materialized (
  select distinct l.relation from pg_locks as l where l.mode = 'AccessExclusiveLock' and l.relation is not null
)
select
  i.indexrelid::bigint as oid,
  n.nspname::text as schema,
  x.relname::text as name,
  i.indrelid::bigint as table_oid,
  tn.nspname::text as table_schema,
  t.relname::text as table_name,
  t.relkind::text as table_kind,
  t.relispartition as is_of_partition,
  m.amname::text as method,
  i.indisunique as is_unique,
  i.indisprimary as is_primary,
  i.indisexclusion as is_exclusion,
  i.indimmediate as is_immediate,
  i.indisvalid as is_valid,
  i.indisready as is_ready,
  i.indislive as is_live,
  i.indisreplident as is_replica_identity,
  i.indisclustered as is_clustered,
  coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) as nulls_not_distinct,
  i.indnkeyatts as key_count,
  i.indkey::text as key,
  i.indclass::text as classes,
  i.indcollation::text as collations,
  i.indoption::text as options,
  coalesce(
    (
      select jsonb_agg(a.attname::text order by p.place)
      from unnest(string_to_array(i.indkey::text, ' ')::smallint[]) with ordinality as p (number, place)
      left join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = p.number
    ),
    '[]'
  ) as columns,
  -- Places in the text of the statement are part of the stored tree and say nothing.
  md5(regexp_replace(i.indexprs::text, ':location -?[0-9]+', '', 'g')) as expressions,
  md5(regexp_replace(i.indpred::text, ':location -?[0-9]+', '', 'g')) as predicate,
  coalesce(i.indpred::text ~ '^\{NULLTEST .*:nulltesttype 1 ', false) as is_not_null_predicate,
  b.constraint_name,
  b.constraint_type,
  coalesce(r.keys, 0) as referred_by,
  h.inhparent::bigint as parent_oid,
  x.relpages::bigint as pages,
  x.reltuples::float8 as tuples,
  coalesce(to_jsonb(x.reloptions), '[]') as index_options,
  coalesce(pg_stat_get_numscans(i.indexrelid), 0) as scans,
  extract(epoch from now() - (to_jsonb(s) ->> 'last_idx_scan')::timestamptz)::float8 as last_scan_s,
  coalesce(pg_stat_get_tuples_inserted(i.indrelid), 0) + coalesce(pg_stat_get_tuples_updated(i.indrelid), 0)
    + coalesce(pg_stat_get_tuples_deleted(i.indrelid), 0) as table_writes,
  -- A foreign key's columns, in any order, are the head of it.
  exists (
    select
    from pg_constraint as k
    where k.contype = 'f' and k.conrelid = i.indrelid
      and (string_to_array(i.indkey::text, ' ')::smallint[])[1:cardinality(k.conkey)] @> k.conkey
      and (string_to_array(i.indkey::text, ' ')::smallint[])[1:cardinality(k.conkey)] <@ k.conkey
  ) as serves_foreign_key,
  -- Partitions that the index of their parent still lacks.
  case
    when t.relkind = 'p' and not i.indisvalid then (
      select jsonb_agg(jsonb_build_object('oid', pc.oid::bigint, 'schema', qn.nspname, 'name', pc.relname,
        'kind', pc.relkind::text, 'pages', pc.relpages) order by pc.oid)
      from pg_inherits as ph
      join pg_class as pc on pc.oid = ph.inhrelid
      join pg_namespace as qn on qn.oid = pc.relnamespace
      where ph.inhparent = i.indrelid
        and not exists (
          select
          from pg_inherits as ih
          join pg_index as ci on ci.indexrelid = ih.inhrelid
          where ih.inhparent = i.indexrelid and ci.indrelid = ph.inhrelid and ci.indisvalid
        )
    )
  end as lacking,
  -- Writing a definition out opens the table, and would wait.
  case
    when not i.indisvalid and i.indrelid not in (select e.relation from exclusive as e)
      and i.indexrelid not in (select e.relation from exclusive as e)
    then pg_get_indexdef(i.indexrelid)
  end as definition,
  exists (select from build as w where w.index_relid = i.indexrelid) as is_being_built,
  (select h.builds from hidden_build as h) as hidden_builds,
  i.indrelid in (select e.relation from exclusive as e)
    or i.indexrelid in (select e.relation from exclusive as e) as is_locked,
  exists (
    select from pg_depend as d
    where d.classid = 'pg_class'::regclass and d.objid = i.indrelid and d.deptype = 'e'
  ) as is_of_extension
from pg_index as i
join pg_class as x on x.oid = i.indexrelid
join pg_namespace as n on n.oid = x.relnamespace
join pg_class as t on t.oid = i.indrelid
join pg_namespace as tn on tn.oid = t.relnamespace
join pg_am as m on m.oid = x.relam
left join pg_inherits as h on h.inhrelid = i.indexrelid
left join backed as b on b.conindid = i.indexrelid
left join referred as r on r.conindid = i.indexrelid
left join pg_stat_all_indexes as s on s.indexrelid = i.indexrelid
where t.relkind in ('r', 'p', 'm')
  and tn.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  and tn.nspname not like 'pg\_temp\_%'
order by i.indrelid, i.indexrelid
limit 200000;
