-- purpose: a step is under way: what comes next may or may not have happened when this is the last that is known.
-- params: $1 run, $2 place.
-- locks: the step's row.
-- index: step_pkey.
update posthaste_runner.step
set state = 'running', attempts = attempts + 1, started_at = coalesce(started_at, clock_timestamp()), error = null
where run_id = $1 and place = $2
