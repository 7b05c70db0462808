-- purpose: a step goes back.
-- params: $1 run, $2 place.
-- locks: the step's row.
-- index: step_pkey.
update posthaste_runner.step
set state = 'undoing', position = null, until = null, pass = 1, visited = 0, undone = 0, error = null
where run_id = $1 and place = $2 and state <> 'undoing'
