-- purpose: the steps of a run, in order.
-- params: $1 run.
-- locks: none.
-- index: step_pkey.
select place, id, phase, title, action, state, attempts, pass, position, until, batch_rows, batches, visited, rows, total,
  rows_left, worked_ms, undone, started_at, finished_at, error
from posthaste_runner.step
where run_id = $1
order by place
