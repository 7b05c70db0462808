-- purpose: whole schemas that are published, on 15 and newer.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: the catalogs' own.
select p.pubname::text as name, n.nspname::text as schema
from pg_publication_namespace r
join pg_publication p on p.oid = r.pnpubid
join pg_namespace n on n.oid = r.pnnspid
order by p.pubname, n.nspname
