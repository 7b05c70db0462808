-- purpose: remember that waiting events have become messages
-- params: $1 event ids, $2 messages that each became
-- locks: row locks on event
-- index: event primary key
update posthaste.event e
set published_at = posthaste.now(), xid = pg_current_xact_id(), fanout = u.fanout
from unnest($1::uuid[], $2::smallint[]) as u (id, fanout)
where e.id = u.id
