-- purpose: every index of user tables with all that makes two of them the same, or one of them needed
-- params: none; `{last_scan}` is the time of the last scan, where the version knows it
-- locks: ACCESS SHARE for a moment on tables with an invalid index, where nobody holds or asks for more; else none:
--   sizes are those of pg_class, expressions are compared as stored trees
-- index: pg_index by indexrelid and indrelid, pg_class, pg_attribute and pg_constraint by oid
with build as materialized (
  select b.index_relid
  from pg_stat_progress_create_index as b
  where b.datname = current_database() and b.index_relid is not null
),
-- A REINDEX CONCURRENTLY of a table shows one index at a time there, and holds all of its own until it ends.
rebuilt as materialized (
  select distinct l.relation
  from pg_locks as l
  where l.mode = 'ShareUpdateExclusiveLock' and l.granted and l.relation is not null
),
hidden_build as materialized (
  select count(*) as builds from pg_stat_progress_create_index as b where b.relid is null
),
referred as materialized (
  select k.conindid from pg_constraint as k where k.contype = 'f' and k.conindid <> 0
),
foreign_key as materialized (
  select distinct k.conrelid from pg_constraint as k where k.contype = 'f'
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
  m.amname::text as method,
  i.indisunique as is_unique,
  i.indisprimary as is_primary,
  i.indisexclusion as is_exclusion,
  i.indimmediate as is_immediate,
  i.indisvalid as is_valid,
  i.indislive as is_live,
  i.indisreplident as is_replica_identity,
  i.indisclustered as is_clustered,
  -- The column is there from version 15 on; making an object of the row takes longer than all else of it.
  case when i.indisunique then coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) else false end
    as nulls_not_distinct,
  i.indnkeyatts as key_count,
  i.indkey::text as key,
  i.indclass::text as classes,
  i.indcollation::text as collations,
  i.indoption::text as options,
  -- Places in the text of the statement are part of the stored tree and say nothing.
  md5(regexp_replace(i.indexprs::text, ':location -?[0-9]+', '', 'g')) as expressions,
  md5(regexp_replace(i.indpred::text, ':location -?[0-9]+', '', 'g')) as predicate,
  (
    select k.conname::text
    from pg_constraint as k
    where k.conrelid = i.indrelid and k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
    order by k.contype
    limit 1
  ) as constraint_name,
  (i.indexrelid in (select r.conindid from referred as r))::integer as referred_by,
  (select h.inhparent::bigint from pg_inherits as h where h.inhrelid = i.indexrelid limit 1) as parent_oid,
  x.relpages::bigint as pages,
  coalesce(pg_stat_get_numscans(i.indexrelid), 0) as scans,
  extract(epoch from now() - {last_scan})::float8 as last_scan_s,
  coalesce(pg_stat_get_tuples_inserted(i.indrelid), 0) + coalesce(pg_stat_get_tuples_updated(i.indrelid), 0)
    + coalesce(pg_stat_get_tuples_deleted(i.indrelid), 0) as table_writes,
  -- A foreign key's columns, in any order, are the head of it.
  i.indrelid in (select f.conrelid from foreign_key as f) and exists (
    select
    from pg_constraint as k
    where k.contype = 'f' and k.conrelid = i.indrelid
      and (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey
      and (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] <@ k.conkey
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
  case
    when t.relkind = 't' then (
      select jsonb_build_object('schema', qn.nspname, 'name', o.relname)
      from pg_class as o
      join pg_namespace as qn on qn.oid = o.relnamespace
      where o.reltoastrelid = t.oid
    )
  end as toast_of,
  exists (select from build as w where w.index_relid = i.indexrelid)
    or not i.indisvalid and i.indexrelid in (select r.relation from rebuilt as r) as is_being_built,
  (select h.builds from hidden_build as h) as hidden_builds,
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
where (
    t.relkind in ('r', 'p', 'm') and tn.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    -- REINDEX TABLE CONCURRENTLY builds those of large values anew too, and leaves them behind as well.
    or t.relkind = 't' and tn.nspname = 'pg_toast' and not i.indisvalid
  )
  and tn.nspname not like 'pg\_temp\_%'
order by i.indrelid, i.indexrelid
limit 200000;
