-- purpose: a step failed, or is kept by an abort.
-- params: $1 run, $2 place, $3 state, $4 why.
-- locks: the step's row.
-- index: step_pkey.
update posthaste_runner.step set state = $3, error = $4 where run_id = $1 and place = $2
