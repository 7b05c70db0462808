-- purpose: accept events, each under its idempotency key; one whose key is known is left out
-- params: $1 ids, $2 keys, $3 payload hashes, $4 types, $5 subjects, $6 priorities, $7 due times (null is now),
--   $8 schedule ids, $9 correlation ids, $10 attributes, $11 payloads, $12 messages that each becomes if due now,
--   $13 how long the row is kept after it is due, in seconds
-- locks: row exclusive on event; waits for another transaction that inserts the same key
-- index: event primary key, event_key_is_unique
insert into posthaste.event
    (id, key, payload_hash, type, subject, priority, due_at, accepted_at, expires_at, published_at, xid, fanout,
    schedule_id, correlation_id, attributes, payload)
select
    u.id, u.key, u.payload_hash, u.type, u.subject, u.priority, greatest(u.due_at, n.now), n.now,
    greatest(u.due_at, n.now) + make_interval(secs => $13),
    case when u.due_at > n.now then null else n.now end,
    case when u.due_at > n.now then null else pg_current_xact_id() end,
    u.fanout, u.schedule_id, u.correlation_id, u.attributes, u.payload
from
    (select posthaste.now() as now) n,
    unnest(
        $1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::smallint[], $7::timestamptz[], $8::bigint[],
        $9::text[], $10::text[], $11::bytea[], $12::smallint[]
    ) as u (
        id, key, payload_hash, type, subject, priority, due_at, schedule_id, correlation_id, attributes, payload,
        fanout
    )
on conflict (key) do nothing
returning id, due_at, published_at is not null as is_published
