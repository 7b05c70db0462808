-- purpose: counts rows that are equal in what should be different in each: groups of them, and all of their rows.
-- params: none; `{keys}`, `{table}`, `{filter}`, `{pass}` and `{many}` are put in.
-- locks: ACCESS SHARE on the table.
-- index: none on purpose: a unique index that misses rows would hide them.
select count(*) as groups, coalesce(sum(n), 0)::bigint as rows
from (
  select count(*) as n from {table} as t where {filter} and {pass} group by {keys} having {many}
) as g
