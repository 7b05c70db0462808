-- purpose: names of operator classes, those that are not the server's own with their schema.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: none: all of a small catalog is read.
select o.oid, case when n.nspname = 'pg_catalog' then o.opcname::text else n.nspname || '.' || o.opcname end as name
from pg_opclass o
join pg_namespace n on n.oid = o.opcnamespace
