-- purpose: the table in which a tool keeps what was applied, by the search path, and its columns.
-- params: $1 its name.
-- locks: ACCESS SHARE on catalogs alone.
-- index: the catalogs' own.
select
  current_schema()::text as current_schema,
  n.nspname::text as schema,
  c.relname::text as name,
  coalesce(
    (
      select array_agg(a.attname::text order by a.attnum)
      from pg_catalog.pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ),
    '{}') as columns,
  coalesce(pg_catalog.has_table_privilege(c.oid, 'select'), false) as is_readable
from (select 1) as one
left join pg_catalog.pg_class c on c.oid = pg_catalog.to_regclass($1)
left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
