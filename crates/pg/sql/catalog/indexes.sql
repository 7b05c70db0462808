-- purpose: indexes, by columns of the catalogs; expressions and conditions open their table, all else does not.
-- params: $1 tables that would have to be waited for.
-- locks: what a text is made of opens its table: those that anybody holds or awaits ACCESS EXCLUSIVE on are left out.
-- index: the catalogs' own.
select
  i.indexrelid as oid,
  i.indrelid as relation,
  n.nspname::text as schema,
  c.relname::text as name,
  am.amname::text as method,
  i.indisunique as is_unique,
  i.indisprimary as is_primary,
  i.indisexclusion as is_exclusion,
  i.indisvalid as is_valid,
  i.indisready as is_ready,
  i.indimmediate as is_immediate,
  c.relkind = 'I' as is_partitioned,
  i.indisclustered as is_clustered,
  i.indisreplident as is_replica_identity,
  i.indnullsnotdistinct as nulls_not_distinct,
  pn.nspname::text as parent_schema,
  pc.relname::text as parent_name,
  i.indnkeyatts as key_count,
  i.indkey::int2[] as columns,
  i.indclass::oid[] as opclasses,
  i.indcollation::oid[] as collations,
  i.indoption::int2[] as options,
  i.indexprs is not null as has_expressions,
  i.indpred is not null as has_predicate,
  case when i.indrelid <> all ($1::oid[]) then pg_get_expr(i.indexprs, i.indrelid) end as expressions,
  case when i.indrelid <> all ($1::oid[]) then pg_get_expr(i.indpred, i.indrelid) end as predicate,
  served.conname::text as constraint_name,
  c.reltuples::float8 as rows,
  c.relpages as pages,
  pg_stat_get_numscans(i.indexrelid) as scans
from (values (false)) as before_15 (indnullsnotdistinct)
cross join lateral (
  select
    indexrelid, indrelid, indisunique, indisprimary, indisexclusion, indisvalid, indisready, indimmediate,
    indisclustered, indisreplident, indnullsnotdistinct, indnkeyatts, indkey, indclass, indcollation, indoption,
    indexprs, indpred
  from pg_index
) as i
join pg_class c on c.oid = i.indexrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_am am on am.oid = c.relam
left join pg_inherits inherited on inherited.inhrelid = i.indexrelid
left join pg_class pc on pc.oid = inherited.inhparent
left join pg_namespace pn on pn.oid = pc.relnamespace
left join pg_constraint served on served.conindid = i.indexrelid and served.contype in ('p', 'u', 'x')
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relpersistence <> 't'
order by i.indrelid, c.relname
