-- purpose: holds the run for this transaction, if it is still ours.
-- params: $1 run, $2 epoch.
-- locks: the run's row.
-- index: run_pkey.
select id from posthaste_runner.run where id = $1 and epoch = $2 for update
