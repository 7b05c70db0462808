-- purpose: a new run.
-- params: $1 title, $2 kind, $3 the plan's text, $4 by whom.
-- locks: none.
-- index: none.
insert into posthaste_runner.run (title, kind, plan, plan_hash, state, started_by)
values ($1, $2, $3, encode(sha256(convert_to($3, 'UTF8')), 'hex'), 'running', $4)
returning id, epoch
