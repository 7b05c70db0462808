-- purpose: one queue
-- params: $1 its name
-- locks: none
-- index: queue_name_key
select
    q.id, q.name, q.visibility_seconds, q.retention_seconds, q.dead_retention_seconds,
    q.max_receives, q.delay_seconds, q.batch, q.reserved, q.max_concurrency,
    q.worker_timeout_seconds, q.backoff_base_ms, q.backoff_cap_ms, q.paused, q.declared, q.segment,
    q.created_at
from posthaste.queue q
where q.name = $1
