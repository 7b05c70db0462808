-- purpose: what the batches of a table rely on.
-- params: $1 schema, $2 name.
-- locks: none; the catalog alone.
-- index: pg_class by name.
select
  c.oid,
  c.relkind::text as kind,
  c.relhassubclass as has_children,
  current_setting('block_size')::int8 as block_bytes,
  (
    select case when sum(greatest(leaf.reltuples, 0)) > 0 then sum(greatest(leaf.reltuples, 0))::int8 end
    from pg_class as leaf
    where (leaf.oid = c.oid and c.relkind <> 'p')
      or (c.relkind = 'p' and leaf.oid in (select relid from pg_partition_tree(c.oid) where isleaf))
  ) as rows,
  case when c.relpages > 0 and c.reltuples > 0 then (c.reltuples / c.relpages)::float8 end as rows_per_page
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2
