-- purpose: what each table inherits from or is a part of.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: the catalogs' own.
select i.inhrelid as relation, n.nspname::text as schema, c.relname::text as name
from pg_inherits i
join pg_class c on c.oid = i.inhparent
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f')
order by i.inhrelid, i.inhseqno
