-- purpose: an index that a step builds: whether it is there, whole, and being built by somebody at this moment.
-- params: $1 schema, $2 name.
-- locks: none; the catalog alone.
-- index: pg_class by name.
select
  c.oid,
  c.relkind::text as kind,
  i.indisvalid as is_valid,
  i.indrelid as table_oid,
  exists (select 1 from pg_constraint as k where k.conindid = c.oid) as has_constraint,
  exists (select 1 from pg_inherits as h where h.inhrelid = c.oid) as is_attached,
  exists (select 1 from pg_stat_progress_create_index as p where p.index_relid = c.oid) as is_being_built,
  tn.nspname::text as table_schema,
  t.relname::text as table_name
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
join pg_index as i on i.indexrelid = c.oid
join pg_class as t on t.oid = i.indrelid
join pg_namespace as tn on tn.oid = t.relnamespace
where n.nspname = $1 and c.relname = $2
