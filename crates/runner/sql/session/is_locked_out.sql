-- purpose: whether some session has the runner's lock.
-- params: none.
-- locks: none.
-- index: none; pg_locks is small.
select exists (
  select 1
  from pg_locks as l
  where l.locktype = 'advisory' and l.classid = 1347375956 and l.objid = 5395790 and l.objsubid = 2
    and l.database = (select oid from pg_database where datname = current_database())
)
