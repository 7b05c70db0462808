-- purpose: how fast a run goes.
-- params: $1 run, $2 percent or null, $3 milliseconds of a batch or null; null leaves it.
-- locks: one row.
-- index: control_pkey.
insert into posthaste_runner.control as c (run_id, speed_percent, batch_ms) values ($1, coalesce($2, 100), $3)
on conflict (run_id) do update
set speed_percent = coalesce($2, c.speed_percent), batch_ms = coalesce($3, c.batch_ms),
  changed_at = clock_timestamp(), changed_by = current_user
