-- purpose: who owns tables, views and sequences, and who may do what with them, for comparing two copies of a schema
-- params: none
-- locks: none but those of any query on the catalogs
-- index: none; it reads all relations of a throw-away database
select
  n.nspname::text as schema,
  c.relname::text as name,
  pg_get_userbyid(c.relowner)::text as owner,
  (
    select coalesce(string_agg(item::text, ' ' order by item::text), '')
    from unnest(
      coalesce(c.relacl, acldefault(case when c.relkind = 'S' then 's' else 'r' end::"char", c.relowner))
    ) as item
  ) as grants,
  (
    select coalesce(string_agg(a.attname || ': ' || a.attacl::text, ' ' order by a.attname), '')
    from pg_attribute a
    where a.attrelid = c.oid and a.attacl is not null and not a.attisdropped
  ) as column_grants
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
  and n.nspname !~ '^pg_'
  and n.nspname <> 'information_schema'
