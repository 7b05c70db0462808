-- purpose: for tables and indexes that a plan names: whether they are there, and what the role may do with them.
-- params: $1 schemas, $2 names, in the same order.
-- locks: none; looked up by name in the catalog, not through the table.
-- index: pg_class by name and schema.
select
  wanted.place::int as place,
  c.oid is not null as exists,
  coalesce(pg_has_role(c.relowner, 'usage'), false) as is_owner,
  coalesce(r.rolname::text, '') as owner,
  coalesce(c.relkind in ('r', 'p') and has_table_privilege(c.oid, 'select'), false) as may_select,
  coalesce(c.relkind in ('r', 'p') and has_any_column_privilege(c.oid, 'update'), false) as may_update,
  coalesce(c.relkind in ('r', 'p') and has_table_privilege(c.oid, 'delete'), false) as may_delete
from unnest($1::text[], $2::text[]) with ordinality as wanted (schema, name, place)
left join pg_namespace as n on n.nspname = wanted.schema
left join pg_class as c on c.relnamespace = n.oid and c.relname = wanted.name
left join pg_roles as r on r.oid = c.relowner
order by wanted.place
