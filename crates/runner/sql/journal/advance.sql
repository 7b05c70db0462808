-- purpose: a batch is done: the next one starts behind it.
-- params: $1 run, $2 place, $3 position, $4 rows gone over, $5 rows changed, $6 milliseconds worked, $7 rows of the next batch.
-- locks: the step's row.
-- index: step_pkey.
update posthaste_runner.step
set position = $3, visited = visited + $4, rows = rows + $5, worked_ms = worked_ms + $6, batch_rows = $7, batches = batches + 1
where run_id = $1 and place = $2
