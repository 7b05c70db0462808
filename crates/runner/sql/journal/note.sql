-- purpose: something worth knowing afterwards.
-- params: $1 run, $2 kind, $3 step or null, $4 text, $5 sessions.
-- locks: none.
-- index: none.
insert into posthaste_runner.note (run_id, kind, step_id, text, sessions) values ($1, $2, $3, $4, $5)
