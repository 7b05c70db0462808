-- purpose: a few of the values that several rows share, with their number.
-- params: none; `{keys}`, `{shown}`, `{table}`, `{filter}`, `{pass}`, `{many}` and `{limit}`
--   are put in.
-- locks: ACCESS SHARE on the table.
-- index: none on purpose.
select {shown} as shown, count(*) as n
from {table} as t
where {filter} and {pass}
group by {keys}
having {many}
order by n desc, shown
limit {limit}
