-- purpose: unique b-trees that amcheck may read from end to end, the smallest first
-- params: none
-- locks: none: nothing is opened
-- index: pg_index and pg_class by oid
select
  i.indexrelid::bigint as oid,
  n.nspname::text as schema,
  x.relname::text as name,
  tn.nspname::text as table_schema,
  t.relname::text as table_name,
  i.indrelid::bigint as table_oid,
  x.relpages::bigint + t.relpages::bigint as pages,
  exists (
    select from pg_locks as l where l.relation in (i.indexrelid, i.indrelid) and l.mode = 'AccessExclusiveLock'
  ) as is_locked
from pg_index as i
join pg_class as x on x.oid = i.indexrelid
join pg_namespace as n on n.oid = x.relnamespace
join pg_class as t on t.oid = i.indrelid
join pg_namespace as tn on tn.oid = t.relnamespace
join pg_am as m on m.oid = x.relam
where i.indisunique and i.indisvalid and i.indisready and m.amname = 'btree'
  and x.relkind = 'i' and x.relpersistence = 'p'
  and tn.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
order by pages, i.indexrelid
limit 20000;
