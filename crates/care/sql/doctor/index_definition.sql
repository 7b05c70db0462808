-- purpose: how these indexes are made, for taking a drop back; NULL where asking would wait behind a lock
-- params: $1 oids of indexes, as a text of an array
-- locks: ACCESS SHARE on each index and its table for a moment, and only where nobody holds or asks for more
-- index: pg_index by indexrelid
with exclusive as materialized (
  select distinct l.relation from pg_locks as l where l.mode = 'AccessExclusiveLock' and l.relation is not null
)
select
  i.indexrelid::bigint as oid,
  case
    when i.indexrelid not in (select e.relation from exclusive as e)
      and i.indrelid not in (select e.relation from exclusive as e)
    then pg_get_indexdef(i.indexrelid)
  end as definition
from pg_index as i
where i.indexrelid = any($1::text::oid[]);
