-- purpose: what was noted of a run, the newest last.
-- params: $1 run.
-- locks: none.
-- index: none; a run has few, and the newest 500 are read.
select at, kind, step_id, text, sessions
from (
  select number, at, kind, step_id, text, sessions
  from posthaste_runner.note where run_id = $1 order by number desc limit 500
) as newest
order by number
