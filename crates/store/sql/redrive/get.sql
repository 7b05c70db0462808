-- purpose: one redrive
-- params: $1 redrive id
-- locks: access share on redrive, queue
-- index: redrive primary key, queue primary key
select
    r.id, q.name as queue, r.filter, r.status, r.total, r.moved, r.jitter_seconds, r.rate_per_second, r.started_by,
    r.started_at, r.finished_at
from posthaste.redrive r
left join posthaste.queue q on q.id = r.queue_id
where r.id = $1
