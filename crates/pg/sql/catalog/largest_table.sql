-- purpose: the largest table that this role may read and that nobody would have to be waited for.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: the catalogs' own.
select n.nspname::text as schema, c.relname::text as name, c.relpages as pages, current_setting('block_size')::int as block_bytes
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm')
  and c.relpersistence <> 't'
  and n.nspname !~ '^pg_'
  and n.nspname <> 'information_schema'
  and pg_catalog.has_table_privilege(c.oid, 'select')
  and not exists (
    select
    from pg_catalog.pg_locks l
    where l.locktype = 'relation' and l.relation = c.oid and l.mode = 'AccessExclusiveLock'
  )
order by c.relpages desc, c.oid
limit 1
