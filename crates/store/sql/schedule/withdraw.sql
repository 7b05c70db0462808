-- purpose: take events back that still wait; what the scheduler has taken is not among the answers
-- params: $1 event ids
-- locks: row locks on waiting, event; waits for a scheduler that is taking them
-- index: waiting_event, event primary key
with withdrawn as (
    delete from posthaste.waiting w
    where w.event_id = any($1)
    returning w.event_id
)
update posthaste.event e
set cancelled_at = posthaste.now()
from withdrawn w
where e.id = w.event_id
returning e.id
