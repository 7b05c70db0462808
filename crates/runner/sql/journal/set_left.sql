-- purpose: what was counted to be left.
-- params: $1 run, $2 place, $3 rows.
-- locks: the step's row.
-- index: step_pkey.
update posthaste_runner.step set rows_left = $3 where run_id = $1 and place = $2
