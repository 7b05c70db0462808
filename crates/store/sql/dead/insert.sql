-- purpose: put messages that have died into the dead letter queue, whole
-- params: $1 queue ids, $2 message ids, $3 event ids, $4 subscription ids, $5 endpoint ids, $6 types, $7 receives,
--   $8 whether the event's end must be known, $9 categories, $10 codes, $11 errors, $12 when they were sent,
--   $13 earlier redrives, $14 attributes, $15 payloads (null where the event has it)
-- locks: row exclusive on dead_letter
-- index: event primary key
insert into posthaste.dead_letter
    (queue_id, message_id, event_id, subscription_id, endpoint_id, type, receives, tracked, category, code, error,
    sent_at, redrives, attributes, payload)
select
    u.queue_id, u.message_id, u.event_id, u.subscription_id, u.endpoint_id, coalesce(u.type, e.type), u.receives,
    u.tracked, u.category, u.code, u.error, u.sent_at, u.redrives, u.attributes, coalesce(u.payload, e.payload, '')
from unnest(
    $1::integer[], $2::bigint[], $3::uuid[], $4::integer[], $5::integer[], $6::text[], $7::smallint[], $8::boolean[],
    $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::smallint[], $14::text[], $15::bytea[]
) with ordinality as u (
    queue_id, message_id, event_id, subscription_id, endpoint_id, type, receives, tracked, category, code, error,
    sent_at, redrives, attributes, payload, place
)
left join lateral (select e.type, e.payload from posthaste.event e where e.id = u.event_id offset 0) e on true
order by u.place
returning id
