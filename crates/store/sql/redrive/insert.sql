-- purpose: record a redrive; how many letters it has taken is told later in the same transaction
-- params: $1 queue id or null, $2 filter, $3 jitter in seconds, $4 rate a second or null, $5 who started it
-- locks: row exclusive on redrive
-- index: none, for it only inserts
insert into posthaste.redrive (queue_id, filter, total, jitter_seconds, rate_per_second, started_by)
values ($1, $2, 0, $3, $4, $5)
returning id
