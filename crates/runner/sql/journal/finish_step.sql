-- purpose: a step is done.
-- params: $1 run, $2 place, $3 milliseconds worked, $4 rows.
-- locks: the step's row.
-- index: step_pkey.
update posthaste_runner.step
set state = 'done', finished_at = clock_timestamp(), worked_ms = worked_ms + $3, rows = rows + $4, error = null,
  attempts = greatest(attempts, 1), started_at = coalesce(started_at, clock_timestamp())
where run_id = $1 and place = $2
