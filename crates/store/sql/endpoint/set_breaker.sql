-- purpose: share the breaker's state with the other nodes, unless a newer one is there
-- params: $1 endpoint id, $2 state
-- locks: a row lock on the endpoint
-- index: endpoint primary key
--
-- States are told by tasks that may overtake each other. One that is far ahead of the clock is of a clock that has
-- jumped back since: nothing would ever be newer.
update posthaste.endpoint e
set breaker = $2
where e.id = $1
    and (
        e.breaker is null
        or (e.breaker ->> 'changed_at_ms')::bigint < ($2::jsonb ->> 'changed_at_ms')::bigint
        or (e.breaker ->> 'changed_at_ms')::bigint > extract(epoch from posthaste.now()) * 1000 + 60000
    )
