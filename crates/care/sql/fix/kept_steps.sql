-- purpose: the steps of a plan whose rows are kept and were not taken back, the last one first.
-- params: $1 the plan.
-- locks: ACCESS SHARE on our own table.
-- index: kept_row_of_step.
select step, count(*) as rows
from posthaste_undo.kept_row
where plan = $1 and taken_back_at is null
group by step
order by max(no) desc
