-- purpose: publications and the tables that they name.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: the catalogs' own.
select
  p.pubname::text as name,
  p.puballtables as all_tables,
  n.nspname::text as schema,
  c.relname::text as table_name
from pg_publication p
left join pg_publication_rel r on r.prpubid = p.oid
left join pg_class c on c.oid = r.prrelid
left join pg_namespace n on n.oid = c.relnamespace
order by p.pubname, n.nspname, c.relname
