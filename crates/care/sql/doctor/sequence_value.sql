-- purpose: the last values of some sequences; asking for many at once would fill the server's table of locks
-- params: $1 oids of sequences, as a text of an array
-- locks: ROW EXCLUSIVE on each sequence until the statement ends, as every nextval; none where that would wait
-- index: pg_class by oid
with busy as materialized (
  select distinct l.relation
  from pg_locks as l
  where l.relation is not null
    and l.mode in ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
)
select
  c.oid::bigint as oid,
  case
    when has_sequence_privilege(c.oid, 'select,usage')
      and not (pg_is_in_recovery() and c.relpersistence = 'u')
      and c.oid not in (select b.relation from busy as b)
    then pg_sequence_last_value(c.oid)
  end as last_value
from pg_class as c
where c.oid = any($1::text::oid[]) and c.relkind = 'S';
