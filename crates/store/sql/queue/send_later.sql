-- purpose: put messages aside until they are to become visible
-- params: $1 queue id, $2 delays in milliseconds, $3 attributes (JSON text or null), $4 payloads
-- locks: row exclusive on deferred
-- index: deferred primary key, deferred_visible
insert into posthaste.deferred (id, queue_id, visible_at, sent_at, attributes, payload)
select
    nextval('posthaste.message_seq'), $1, n.now + m.delay_ms * interval '1 millisecond', n.now, m.attributes, m.payload
from
    (select posthaste.now() as now) n,
    unnest($2::bigint[], $3::text[], $4::bytea[]) as m (delay_ms, attributes, payload)
returning id
