-- purpose: how many rows share their values with one that comes before them.
-- params: none; `{keys}`, `{from}`, `{filter}` and `{many}` are put in.
-- locks: ACCESS SHARE on the table.
-- index: none.
select coalesce(sum(same.rows - 1), 0) as rows
from (select count(*) as rows from {from} as t where {filter} group by {keys} having {many}) as same
