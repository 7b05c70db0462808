-- purpose: finish those of the events whose messages have all ended
-- params: $1 event ids
-- locks: row locks on event, which the caller holds
-- index: event primary key, outcome primary key, dead_letter_event
--
-- With the newest of its dead letters, for whoever is told of it.
update posthaste.event e
set finished_at = posthaste.now(), failed = ended.failed
from (
    select u.id, o.messages, coalesce(o.failed, false) as failed
    from unnest($1::uuid[]) as u (id)
    cross join lateral (
        select count(*) as messages, bool_or(o.failed) as failed
        from posthaste.outcome o
        where o.event_id = u.id
    ) o
) ended
where e.id = ended.id
    and e.published_at is not null
    and e.finished_at is null
    and ended.messages >= e.fanout
returning
    e.id, e.type, e.subject, e.due_at, e.finished_at, e.failed, e.schedule_id, e.correlation_id,
    case when e.failed then (
        select json_build_object(
            'id', d.id, 'queue', (select q.name from posthaste.queue q where q.id = d.queue_id),
            'endpoint', (select p.name from posthaste.endpoint p where p.id = d.endpoint_id),
            'receives', d.receives, 'category', d.category, 'code', d.code, 'error', d.error, 'diedAt', d.died_at
        )
        from posthaste.dead_letter d
        where d.event_id = e.id
        order by d.id desc
        limit 1
    ) end as dead_letter
