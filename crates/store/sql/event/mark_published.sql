-- purpose: remember that waiting events have become messages
-- params: $1 event ids, $2 messages that each became, $3 how long the row is kept from now, in seconds
-- locks: row locks on event
-- index: event primary key
--
-- One that was held up may be published long after it was due, and its messages need it for as long as any.
update posthaste.event e
set
    published_at = n.now, xid = pg_current_xact_id(), fanout = u.fanout,
    expires_at = greatest(e.expires_at, n.now + make_interval(secs => $3))
from (select posthaste.now() as now) n, unnest($1::uuid[], $2::smallint[]) as u (id, fanout)
where e.id = u.id
