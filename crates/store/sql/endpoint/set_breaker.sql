-- purpose: share the breaker's state with the other nodes
-- params: $1 endpoint id, $2 state, null when closed
-- locks: a row lock on the endpoint
-- index: endpoint primary key
update posthaste.endpoint e
set breaker = $2
where e.id = $1
