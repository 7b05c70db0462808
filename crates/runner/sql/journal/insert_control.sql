-- purpose: what is wished of a new run: that it runs.
-- params: $1 run.
-- locks: none.
-- index: none.
insert into posthaste_runner.control (run_id) values ($1) on conflict (run_id) do nothing
