-- purpose: put events from SQL that are not valid into the dead letter queue, instead of making messages of them
-- params: $1 event ids, $2 queue ids, $3 codes, $4 errors, $5 whether the event's end must be known
-- locks: row exclusive on dead_letter
-- index: event primary key
--
-- Such a letter has no subscription: a redrive lets its event be taken up again.
insert into posthaste.dead_letter
    (queue_id, message_id, event_id, type, receives, tracked, category, code, error, sent_at, payload)
select
    u.queue_id, nextval('posthaste.message_seq'), e.id, e.type, 0, u.tracked, 'VALIDATION', u.code, u.error,
    e.accepted_at, e.payload
from unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::boolean[]) as u (id, queue_id, code, error, tracked)
join posthaste.event e on e.id = u.id
returning event_id, message_id
