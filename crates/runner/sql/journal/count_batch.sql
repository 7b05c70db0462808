-- purpose: a batch out of order is done: what it did counts, and the position stays.
-- params: $1 run, $2 place, $3 rows gone over, $4 rows changed, $5 milliseconds worked.
-- locks: the step's row.
-- index: step_pkey.
update posthaste_runner.step
set visited = visited + $3, rows = rows + $4, worked_ms = worked_ms + $5, batches = batches + 1
where run_id = $1 and place = $2
