-- purpose: rows written to each table since the counters were reset, for a rate from two of these.
-- params: none.
-- locks: none.
-- index: the catalogs' own.
select
  c.oid,
  pg_catalog.pg_stat_get_tuples_inserted(c.oid)
    + pg_catalog.pg_stat_get_tuples_updated(c.oid)
    + pg_catalog.pg_stat_get_tuples_deleted(c.oid) as writes
from pg_catalog.pg_class c
where c.relkind in ('r', 'm') and c.relpersistence <> 't' and c.oid >= 16384
