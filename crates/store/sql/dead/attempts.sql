-- purpose: the attempts of one message of an event, oldest first
-- params: $1 event id, $2 message id, $3 attempts at most
-- locks: access share on attempt
-- index: attempt_event
select a.at, a.endpoint_id, a.receive, a.status, a.latency_ms, a.category, a.code, a.error, a.response
from posthaste.attempt a
where a.event_id = $1 and a.message_id = $2
order by a.at
limit $3
