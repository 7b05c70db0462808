-- purpose: goes on behind a range that was put off.
-- params: $1 run, $2 place, $3 position.
-- locks: the step's row.
-- index: step_pkey.
update posthaste_runner.step set position = $3 where run_id = $1 and place = $2
