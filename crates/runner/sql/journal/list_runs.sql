-- purpose: runs, the newest first.
-- params: $1 how many at most.
-- locks: none.
-- index: run_pkey, backwards.
select r.id, r.title, r.kind, ''::text as plan, r.plan_hash, r.state, r.epoch, r.started_by, r.started_at, r.finished_at,
  r.error, coalesce(c.speed_percent, 100) as speed_percent, c.batch_ms
from posthaste_runner.run as r
left join posthaste_runner.control as c on c.run_id = r.id
order by r.id desc
limit $1
