-- purpose: writes down who carries out a run.
-- params: $1 run, $2 keeper's process id, $3 hand's, $4 since when the hand is there, $5 host, $6 process id there.
-- locks: the one row.
-- index: holder_pkey.
insert into posthaste_runner.holder (run_id, keeper_pid, hand_pid, hand_start, host, process_id)
values ($1, $2, $3, $4, $5, $6)
on conflict (is_only) do update
set run_id = excluded.run_id, keeper_pid = excluded.keeper_pid, hand_pid = excluded.hand_pid,
  hand_start = excluded.hand_start, host = excluded.host, process_id = excluded.process_id,
  since = case when posthaste_runner.holder.run_id = excluded.run_id
      and posthaste_runner.holder.host = excluded.host and posthaste_runner.holder.process_id = excluded.process_id
    then posthaste_runner.holder.since else clock_timestamp() end,
  heartbeat_at = clock_timestamp()
