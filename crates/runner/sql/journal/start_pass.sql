-- purpose: a pass over the table begins.
-- params: $1 run, $2 place, $3 number of the pass, $4 where it ends or null, $5 rows of the table or null.
-- locks: the step's row.
-- index: step_pkey.
update posthaste_runner.step
set pass = $3, position = null, until = $4, total = coalesce($5, total), visited = 0
where run_id = $1 and place = $2
