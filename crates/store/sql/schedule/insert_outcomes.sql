-- purpose: remember how messages of tracked events ended; the first end of a message counts
-- params: $1 event ids, $2 message ids, $3 whether each failed
-- locks: row exclusive on outcome; the caller holds the events
-- index: event primary key, outcome primary key
insert into posthaste.outcome (event_id, message_id, failed)
select e.id, u.message_id, u.failed
from unnest($1::uuid[], $2::bigint[], $3::boolean[]) as u (event_id, message_id, failed)
join posthaste.event e on e.id = u.event_id
on conflict (event_id, message_id) do nothing
