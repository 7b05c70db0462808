-- purpose: the state of a run, and why it stopped.
-- params: $1 run, $2 epoch, $3 state, $4 error or null.
-- locks: the run's row.
-- index: run_pkey.
update posthaste_runner.run
set state = $3, error = $4, finished_at = case when $3 in ('done', 'aborted') then clock_timestamp() end
where id = $1 and epoch = $2
