-- purpose: invalid indexes that a REINDEX CONCURRENTLY which did not end left on a table.
-- params: $1 schema of the table or of one of its indexes, $2 name.
-- locks: none; the catalog alone.
-- index: pg_index by table.
select
  c.oid,
  n.nspname::text as schema,
  c.relname::text as name,
  exists (select 1 from pg_stat_progress_create_index as p where p.index_relid = c.oid or p.relid = i.indrelid) as is_being_built
from pg_index as i
join pg_class as c on c.oid = i.indexrelid
join pg_namespace as n on n.oid = c.relnamespace
where not i.indisvalid
  and c.relkind = 'i'
  and c.relname ~ '_cc(new|old)[0-9]*$'
  and i.indrelid in (
    select coalesce(j.indrelid, r.oid)
    from pg_class as r
    join pg_namespace as rn on rn.oid = r.relnamespace
    left join pg_index as j on j.indexrelid = r.oid
    where rn.nspname = $1 and r.relname = $2
  )
order by c.relname
