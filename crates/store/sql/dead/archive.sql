-- purpose: move dead letters to the archive; those that a redrive has taken stay
-- params: $1 ids, $2 who archives them, $3 why, $4 seconds that an event's key outlives its last message
-- locks: row locks on dead_letter and event, row exclusive on dead_letter_archive
-- index: dead_letter primary key, event primary key
with gone as (
    delete from posthaste.dead_letter d
    using unnest($1::bigint[]) as u (id)
    where d.id = u.id and d.redrive_id is null
    returning
        d.id, d.queue_id, d.message_id, d.event_id, d.subscription_id, d.endpoint_id, d.type, d.receives, d.category,
        d.code, d.error, d.sent_at, d.died_at, d.attributes, d.payload
), kept as (
    update posthaste.event e
    set expires_at = greatest(e.expires_at, posthaste.now() + make_interval(secs => $4))
    from (select distinct g.event_id from gone g where g.event_id is not null order by g.event_id) k
    where e.id = k.event_id
)
insert into posthaste.dead_letter_archive
    (archived_by, reason, id, queue_id, message_id, event_id, subscription_id, endpoint_id, type, receives, category,
    code, error, sent_at, died_at, attributes, payload)
select
    $2, $3, g.id, g.queue_id, g.message_id, g.event_id, g.subscription_id, g.endpoint_id, g.type, g.receives,
    g.category, g.code, g.error, g.sent_at, g.died_at, g.attributes, g.payload
from gone g
