-- purpose: a page of queues by name
-- params: $1 the name after which it starts, $2 queues at most
-- locks: none
-- index: queue_name_key
select
    q.id, q.name, q.visibility_seconds, q.retention_seconds, q.dead_retention_seconds,
    q.max_receives, q.delay_seconds, q.batch, q.reserved, q.max_concurrency,
    q.worker_timeout_seconds, q.backoff_base_ms, q.backoff_cap_ms, q.paused, q.declared, q.segment,
    q.created_at
from posthaste.queue q
where q.name > $1
order by q.name
limit $2
