-- purpose: partitioned tables and their partitions, with bounds
-- params: none
-- locks: none: bounds are written out without opening the table
-- index: pg_partitioned_table, pg_inherits and pg_class by oid
select
  p.partrelid::bigint as parent_oid,
  pn.nspname::text as parent_schema,
  pc.relname::text as parent_name,
  pc.relispartition as is_sub_partitioned,
  p.partstrat::text as strategy,
  p.partnatts::integer as key_columns,
  coalesce(
    (
      select jsonb_agg(a.attname::text order by k.place)
      from unnest(string_to_array(p.partattrs::text, ' ')::smallint[]) with ordinality as k (number, place)
      left join pg_attribute as a on a.attrelid = p.partrelid and a.attnum = k.number
    ),
    '[]'
  ) as columns,
  (
    select format_type(a.atttypid, null)
    from pg_attribute as a
    where a.attrelid = p.partrelid and a.attnum = (string_to_array(p.partattrs::text, ' ')::smallint[])[1] and a.attnum > 0
  ) as key_type,
  p.partdefid <> 0 as has_default,
  c.oid::bigint as oid,
  n.nspname::text as schema,
  c.relname::text as name,
  c.relkind::text as kind,
  c.oid = p.partdefid as is_default,
  pg_get_expr(c.relpartbound, 0) as bound,
  c.reltuples::float8 as tuples,
  c.relpages::bigint as pages,
  coalesce(pg_stat_get_live_tuples(c.oid), 0) as live,
  coalesce(pg_stat_get_tuples_inserted(c.oid), 0) as inserted
from pg_partitioned_table as p
join pg_class as pc on pc.oid = p.partrelid
join pg_namespace as pn on pn.oid = pc.relnamespace
left join pg_inherits as h on h.inhparent = p.partrelid
left join pg_class as c on c.oid = h.inhrelid
left join pg_namespace as n on n.oid = c.relnamespace
where pn.nspname not in ('pg_catalog', 'information_schema') and pn.nspname not like 'pg\_temp\_%'
order by p.partrelid, c.oid
limit 100000;
