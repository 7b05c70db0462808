-- purpose: what a plan has measured, before and after.
-- params: $1 the plan.
-- locks: ACCESS SHARE on our own table.
-- index: none; some rows a plan.
select distinct on (m.what, m.name, m.moment) m.what, m.name, m.moment, m.value::float8 as value, m.query
from posthaste_undo.measured as m
where m.plan = $1
order by m.what, m.name, m.moment, m.no desc
