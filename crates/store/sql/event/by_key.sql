-- purpose: the events that hold some idempotency keys
-- params: $1 keys
-- locks: access share on event
-- index: event_key_is_unique
select e.key, e.id, e.type, e.payload_hash, e.due_at
from posthaste.event e
where e.key = any($1)
