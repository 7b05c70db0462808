-- purpose: record attempts
-- params: $1 message ids, $2 event ids, $3 endpoint ids, $4 receives, $5 statuses, $6 latencies in milliseconds,
--   $7 categories, $8 codes, $9 errors, $10 first bytes of the responses
-- locks: row exclusive on attempt and today's partition
-- index: attempt_event, attempt_endpoint
insert into posthaste.attempt
    (at, message_id, event_id, endpoint_id, receive, status, latency_ms, category, code, error, response)
select
    n.now, u.message_id, u.event_id, u.endpoint_id, u.receive, u.status, u.latency_ms, u.category, u.code, u.error,
    u.response
from
    (select posthaste.now() as now) n,
    unnest(
        $1::bigint[], $2::uuid[], $3::integer[], $4::smallint[], $5::smallint[], $6::integer[], $7::text[], $8::text[],
        $9::text[], $10::bytea[]
    ) as u (message_id, event_id, endpoint_id, receive, status, latency_ms, category, code, error, response)
