-- purpose: keep the scheduler from taking events; what it has taken already is not among the answers
-- params: $1 event ids
-- locks: row locks on waiting, in the order of events; waits for a scheduler that is taking them
-- index: waiting_event
select w.event_id
from posthaste.waiting w
where w.event_id = any($1)
order by w.event_id
for update
