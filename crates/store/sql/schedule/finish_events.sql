-- purpose: finish those of the events whose messages have all ended
-- params: $1 event ids
-- locks: row locks on event, which the caller holds
-- index: event primary key, outcome primary key
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
returning e.id, e.type, e.subject, e.due_at, e.finished_at, e.failed, e.schedule_id, e.correlation_id
