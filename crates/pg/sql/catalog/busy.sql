-- purpose: tables that a session holds or awaits ACCESS EXCLUSIVE on: who opens one of them waits.
-- params: none.
-- locks: none beyond the lock table's own, for a moment.
-- index: none.
select distinct l.relation
from pg_catalog.pg_locks l
join pg_catalog.pg_database d on d.oid = l.database
where d.datname = pg_catalog.current_database()
  and l.locktype = 'relation'
  and l.mode = 'AccessExclusiveLock'
