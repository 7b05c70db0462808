-- purpose: let events that are due later wait for the scheduler
-- params: $1 event ids
-- locks: row exclusive on waiting
-- index: event primary key, waiting primary key
insert into posthaste.waiting (priority, due_at, event_id)
select e.priority, e.due_at, e.id
from posthaste.event e
where e.id = any($1) and e.published_at is null and e.cancelled_at is null
