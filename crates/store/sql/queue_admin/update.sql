-- purpose: change a queue
-- params: $1 id, $2 to $12 the settings in the order of the columns, $13 whether it is paused, $14 whether it is declared
-- locks: row exclusive
-- index: queue_pkey
update posthaste.queue q
set
    visibility_seconds = $2, retention_seconds = $3, dead_retention_seconds = $4, max_receives = $5,
    delay_seconds = $6, batch = $7, reserved = $8, max_concurrency = $9,
    worker_timeout_seconds = $10, backoff_base_ms = $11, backoff_cap_ms = $12, paused = $13,
    declared = $14
where q.id = $1
returning
    q.id, q.name, q.visibility_seconds, q.retention_seconds, q.dead_retention_seconds,
    q.max_receives, q.delay_seconds, q.batch, q.reserved, q.max_concurrency,
    q.worker_timeout_seconds, q.backoff_base_ms, q.backoff_cap_ms, q.paused, q.declared, q.segment,
    q.created_at
