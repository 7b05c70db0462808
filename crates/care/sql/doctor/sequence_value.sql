-- purpose: the last values of some sequences; asking for many at once would fill the server's table of locks
-- params: $1 oids of sequences, as a text of an array
-- locks: ROW EXCLUSIVE on each sequence until the statement ends, as every nextval; none where that would wait
-- index: pg_class by oid
select
  c.oid::bigint as oid,
  case
    when has_sequence_privilege(c.oid, 'select,usage')
      and not (pg_is_in_recovery() and c.relpersistence = 'u')
      and not exists (
        select
        from pg_locks as l
        where l.relation = c.oid
          and l.mode in ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
      )
    then pg_sequence_last_value(c.oid)
  end as last_value
from pg_class as c
where c.oid = any($1::text::oid[]) and c.relkind = 'S';
