-- purpose: take the events of one priority whose time has come
-- params: $1 priority, $2 events at most
-- locks: row locks on waiting, skipping what another scheduler holds
-- index: waiting primary key, event primary key
with due as materialized (
    select w.priority, w.due_at, w.event_id
    from posthaste.waiting w
    where w.priority = $1 and w.due_at <= posthaste.now()
    order by w.due_at
    limit $2
    for update skip locked
), taken as (
    delete from posthaste.waiting w
    using due d
    where w.priority = d.priority and w.due_at = d.due_at and w.event_id = d.event_id
    returning w.event_id
)
select
    e.id, e.key, e.payload_hash, e.type, e.subject, e.priority, e.due_at, e.schedule_id, e.correlation_id,
    e.attributes, e.payload, e.unchecked
from taken t
join posthaste.event e on e.id = t.event_id
