-- purpose: the attempts of one event, oldest first
-- params: $1 event id, $2 attempts at most
-- locks: access share on attempt
-- index: attempt_event
select a.at, a.message_id, a.endpoint_id, a.receive, a.status, a.latency_ms, a.category, a.code, a.error, a.response
from posthaste.attempt a
where a.event_id = $1
order by a.at
limit $2
