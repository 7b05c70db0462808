-- purpose: make a queue; no row when there is one of that name. Its segments are made next (create_segments)
-- params: $1 name, $2 to $12 the settings in the order of the columns, $13 whether it is declared
-- locks: row exclusive
-- index: queue_name_key
insert into posthaste.queue as q (
    name, visibility_seconds, retention_seconds, dead_retention_seconds, max_receives,
    delay_seconds, batch, reserved, max_concurrency, worker_timeout_seconds, backoff_base_ms,
    backoff_cap_ms, declared
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
on conflict (name) do nothing
returning
    q.id, q.name, q.visibility_seconds, q.retention_seconds, q.dead_retention_seconds,
    q.max_receives, q.delay_seconds, q.batch, q.reserved, q.max_concurrency,
    q.worker_timeout_seconds, q.backoff_base_ms, q.backoff_cap_ms, q.paused, q.declared, q.segment,
    q.created_at
