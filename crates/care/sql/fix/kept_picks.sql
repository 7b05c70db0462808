-- purpose: the next rows of a step that can be taken back, the last ones first.
-- params: $1 the plan, $2 the step, $3 only those below, $4 how many.
-- locks: ACCESS SHARE on our own table.
-- index: kept_row_of_step.
select k.pick
from posthaste_undo.kept_row as k
where k.plan = $1 and k.step = $2 and k.pick < $3 and k.taken_back_at is null
order by k.pick desc
limit $4
