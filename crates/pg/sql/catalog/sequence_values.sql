-- purpose: how far some sequences have come; NULL for one that was never used.
-- params: $1 their oids: few at a time, since all locks of a statement share one table of the server.
-- locks: ROW EXCLUSIVE on each sequence, for the statement; those that would have to be waited for are left out.
-- index: the catalogs' own.
select s.seqrelid as oid, pg_catalog.pg_sequence_last_value(s.seqrelid) as last_value
from pg_catalog.pg_sequence s
join pg_catalog.pg_class c on c.oid = s.seqrelid
where s.seqrelid = any ($1::oid[])
  and c.relpersistence <> 't'
  and (c.relpersistence = 'p' or not pg_catalog.pg_is_in_recovery())
  and case when c.relkind = 'S' then pg_catalog.has_sequence_privilege(c.oid, 'select, usage') else false end
  and not exists (
    select
    from pg_catalog.pg_locks l
    where l.locktype = 'relation'
      and l.relation = c.oid
      and l.mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
  )
