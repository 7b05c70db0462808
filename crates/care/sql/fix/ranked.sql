-- purpose: for each row that shares its values with others, which one is kept, and which place it has among them.
-- params: none; `{key}`, `{order}`, `{keys}`, `{from}` and `{filter}` are put in.
-- locks: ACCESS SHARE on the table.
-- index: none on purpose: a unique index that misses rows would hide them.
select
  t.tableoid as part, t.ctid as place, {key} as key,
  first_value({key}) over (partition by {keys} order by {order}) as keeper,
  row_number() over (partition by {keys} order by {order}) as place_in_group
from {from} as t
where {filter}
