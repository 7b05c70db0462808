-- purpose: move dead letters that their queue has kept for long enough to the archive
-- params: $1 letters at most, $2 seconds that an event's key outlives its last message
-- locks: row locks on dead_letter, skipping what is locked; row locks on event; row exclusive on dead_letter_archive
-- index: dead_letter_died, primary keys of dead_letter and event; the queues are few and all read
with old as materialized (
    select d.id
    from posthaste.queue q
    cross join lateral (
        select d.id
        from posthaste.dead_letter d
        where d.queue_id = q.id
            and d.died_at <= posthaste.now() - make_interval(secs => q.dead_retention_seconds)
            and d.redrive_id is null
        order by d.died_at
        limit $1
        for update skip locked
    ) d
    limit $1
), gone as (
    delete from posthaste.dead_letter d
    using old
    where d.id = old.id
    returning
        d.id, d.queue_id, d.message_id, d.event_id, d.subscription_id, d.endpoint_id, d.type, d.receives, d.category,
        d.code, d.error, d.sent_at, d.died_at, d.attributes, d.payload
), kept as (
    update posthaste.event e
    set expires_at = greatest(e.expires_at, posthaste.now() + make_interval(secs => $2))
    from (select distinct g.event_id from gone g where g.event_id is not null order by g.event_id) k
    where e.id = k.event_id
)
insert into posthaste.dead_letter_archive
    (archived_by, reason, id, queue_id, message_id, event_id, subscription_id, endpoint_id, type, receives, category,
    code, error, sent_at, died_at, attributes, payload)
select
    'posthaste', 'retention', g.id, g.queue_id, g.message_id, g.event_id, g.subscription_id, g.endpoint_id, g.type,
    g.receives, g.category, g.code, g.error, g.sent_at, g.died_at, g.attributes, g.payload
from gone g
