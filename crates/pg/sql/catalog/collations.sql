-- purpose: names of collations, those that are not the server's own with their schema.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: none: all of a small catalog is read.
select c.oid, case when n.nspname = 'pg_catalog' then c.collname::text else n.nspname || '.' || c.collname end as name
from pg_collation c
join pg_namespace n on n.oid = c.collnamespace
where c.collname <> 'default'
