-- purpose: the size on disk of tables and indexes that were never counted.
-- params: $1 their oids.
-- locks: ACCESS SHARE on each for a moment; those that would have to be waited for are left out by the caller.
-- index: the catalogs' own.
select wanted.oid, pg_relation_size(wanted.oid) as bytes
from unnest($1::oid[]) as wanted (oid)
