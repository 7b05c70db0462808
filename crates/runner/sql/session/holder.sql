-- purpose: who carries out a run, or did last.
-- params: none.
-- locks: none.
-- index: holder_pkey.
select h.run_id, h.keeper_pid, h.hand_pid, h.hand_start, h.host, h.process_id, h.since, h.heartbeat_at,
  coalesce(r.title, '') as title
from posthaste_runner.holder as h
left join posthaste_runner.run as r on r.id = h.run_id
