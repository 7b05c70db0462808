-- purpose: append the messages of events to a queue's current log
-- params: $1 event ids, $2 subscription ids, $3 whether the event's end is tracked
-- locks: row exclusive on the log
-- index: log (xid, seq)
insert into posthaste.{log} (event_id, subscription_id, tracked, sent_at)
select m.event_id, m.subscription_id, m.tracked, n.now
from
    (select posthaste.now() as now) n,
    unnest($1::uuid[], $2::integer[], $3::boolean[]) as m (event_id, subscription_id, tracked)
