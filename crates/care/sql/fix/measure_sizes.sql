-- purpose: how large a table and its indexes are.
-- params: none; `{plan}`, `{moment}` and `{relation}` (literals) are put in.
-- locks: ACCESS SHARE on the table, for a moment.
-- index: none.
insert into posthaste_undo.measured (plan, moment, what, name, value)
select {plan}, {moment}, size.what, {relation}, size.bytes
from (
  select coalesce(sum(pg_table_size(part.relid)), 0) as table_bytes, coalesce(sum(pg_indexes_size(part.relid)), 0) as index_bytes
  from (
    select c.oid as relid from pg_class as c where c.oid = {relation}::regclass and c.relkind <> 'p'
    union all
    select p.relid from pg_partition_tree({relation}::regclass) as p where p.isleaf and p.relid <> {relation}::regclass
  ) as part
) as whole
cross join lateral (values ('table-bytes', whole.table_bytes), ('index-bytes', whole.index_bytes)) as size (what, bytes)
