-- purpose: which rows are wrong, found once and from the heap, so that batches can go over them by their number.
-- params: none; `{found}`, `{before}` (with clauses), `{order}`, `{identity}`, `{values}`, `{from}`, `{joins}` and
--   `{condition}` are put in.
-- locks: ACCESS SHARE on the table.
-- index: none on purpose: an index that misses rows would hide them.
create table {found} as
{before}select row_number() over (order by {order}) as no, {identity}{values}
from {from} as t{joins}
where {condition}
