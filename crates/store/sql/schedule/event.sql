-- purpose: what decides whether an event can be cancelled
-- params: $1 event id
-- locks: access share on event
-- index: event primary key
select e.id, e.type, e.due_at, e.published_at, e.cancelled_at, e.schedule_id
from posthaste.event e
where e.id = $1
