-- purpose: a step went back.
-- params: $1 run, $2 place.
-- locks: the step's row.
-- index: step_pkey.
update posthaste_runner.step set state = 'undone', finished_at = clock_timestamp(), error = null
where run_id = $1 and place = $2
