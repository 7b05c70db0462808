-- purpose: takes a run over: whoever had it before has an older epoch, and can write nothing more.
-- params: $1 run, $2 its epoch as it was read, $3 state.
-- locks: the run's row; waits for a batch of the one before.
-- index: run_pkey.
update posthaste_runner.run
set epoch = epoch + 1, state = $3, error = null, finished_at = null
where id = $1 and epoch = $2
returning epoch
