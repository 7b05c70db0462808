-- purpose: redrives, the newest first
-- params: $1 the id before which it starts, $2 redrives at most
-- locks: access share on redrive, queue
-- index: redrive primary key, queue primary key
select
    r.id, q.name as queue, r.filter, r.status, r.total, r.moved, r.jitter_seconds, r.rate_per_second, r.started_by,
    r.started_at, r.finished_at
from posthaste.redrive r
left join posthaste.queue q on q.id = r.queue_id
where r.id < $1
order by r.id desc
limit $2
