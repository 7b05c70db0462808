-- purpose: one event, with how its messages are getting on
-- params: $1 event id
-- locks: access share on event, waiting, attempt, dead_letter, dead_letter_archive, deferred
-- index: event primary key, waiting_event, attempt_event, dead_letter_event, dead_letter_archive_event, deferred_event
select
    e.id, e.key, e.type, e.subject, e.priority, e.due_at, e.accepted_at, e.published_at, e.cancelled_at,
    e.finished_at, e.failed, e.fanout, e.schedule_id, e.correlation_id, e.attributes, e.payload,
    exists (select from posthaste.waiting w where w.event_id = e.id) as is_waiting,
    (
        select count(*)
        from (
            select a.message_id
            from posthaste.attempt a
            where a.event_id = e.id and a.category is null
            group by a.message_id
            limit 1000
        ) done
    ) as delivered,
    (select count(*) from (select from posthaste.dead_letter d where d.event_id = e.id limit 1000) dead)
        + (
            select count(*) from (select from posthaste.dead_letter_archive d where d.event_id = e.id limit 1000) gone
        ) as dead,
    (select count(*) from (select from posthaste.deferred d where d.event_id = e.id limit 1000) later) as deferred
from posthaste.event e
where e.id = $1
