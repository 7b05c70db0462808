-- purpose: a sign of life, and what others wish of the run.
-- params: $1 run, $2 keeper's process id.
-- locks: the one row of the holder.
-- index: holder_pkey, control_pkey.
with beaten as (
  update posthaste_runner.holder set heartbeat_at = clock_timestamp() where keeper_pid = $2
)
select c.wish, c.speed_percent, c.batch_ms
from posthaste_runner.control as c
where c.run_id = $1
