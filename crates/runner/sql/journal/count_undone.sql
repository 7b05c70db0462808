-- purpose: so many undo statements of a step are done.
-- params: $1 run, $2 place, $3 how many.
-- locks: the step's row.
-- index: step_pkey.
update posthaste_runner.step set undone = $3, position = null, until = null where run_id = $1 and place = $2
