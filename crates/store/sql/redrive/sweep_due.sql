-- purpose: dead letters whose redrive has come go back to their queue, as new messages under their old ids
-- params: $1 letters at most, $2 seconds that an event outlives the retention of its message's queue
-- locks: row locks on dead_letter, skipping what is locked; row locks on event, outcome and redrive; row exclusive on
--   deferred and waiting
-- index: dead_letter_redrive; primary keys of dead_letter, queue, event, outcome, deferred, waiting, redrive
--
-- The event is under way again: if it had ended as failed, it has not ended, and what this message contributed is
-- forgotten, so that the message can complete it. A letter whose message is in `deferred` already is a second record
-- of a message that lives, so nothing is lost with it. A payload is only kept where the event does not have it.
-- An event from SQL that was refused (see event/refuse.sql) waits again, to be checked once more.
with due as materialized (
    select d.id
    from posthaste.dead_letter d
    where d.redrive_id is not null and d.redrive_at <= posthaste.now()
    order by d.redrive_at
    limit $1
    for update skip locked
), taken as (
    delete from posthaste.dead_letter d
    using due
    where d.id = due.id
    returning
        d.id, d.queue_id, d.message_id, d.event_id, d.subscription_id, d.tracked, d.attributes, d.payload,
        d.redrive_id
), refused as materialized (
    select t.id as letter_id, e.id, e.priority, e.due_at
    from taken t
    join posthaste.event e on e.id = t.event_id
    where t.subscription_id is null and e.unchecked
), waiting as (
    insert into posthaste.waiting (priority, due_at, event_id)
    select r.priority, r.due_at, r.id
    from refused r
    on conflict (priority, due_at, event_id) do nothing
), back as (
    insert into posthaste.deferred
        (id, queue_id, visible_at, event_id, subscription_id, receives, tracked, sent_at, attributes, payload)
    select
        t.message_id, t.queue_id, posthaste.now(), t.event_id, t.subscription_id, 0, t.tracked, posthaste.now(),
        t.attributes, case when e.payload = t.payload then null else t.payload end
    from taken t
    left join lateral (select e.payload from posthaste.event e where e.id = t.event_id offset 0) e on true
    where not exists (select from refused r where r.letter_id = t.id)
    order by t.id
    on conflict (id) do nothing
), reopened as (
    update posthaste.event e
    set
        failed = false,
        finished_at = case when e.failed then null else e.finished_at end,
        published_at = case when exists (select from refused r where r.id = e.id) then null else e.published_at end,
        expires_at = greatest(e.expires_at, posthaste.now() + make_interval(secs => k.keep_seconds))
    from (
        select t.event_id, max(q.retention_seconds) + $2::bigint as keep_seconds
        from taken t
        join posthaste.queue q on q.id = t.queue_id
        where t.event_id is not null
        group by t.event_id
    ) k
    where e.id = k.event_id
), forgotten as (
    delete from posthaste.outcome o
    using taken t
    where o.event_id = t.event_id and o.message_id = t.message_id
), counted as (
    update posthaste.redrive r
    set
        moved = r.moved + n.letters,
        status = case when r.moved + n.letters >= r.total then 'done' else r.status end,
        finished_at = case when r.moved + n.letters >= r.total then posthaste.now() end
    from (select t.redrive_id, count(*)::integer as letters from taken t group by t.redrive_id) n
    where r.id = n.redrive_id
)
select t.queue_id, count(*) as letters
from taken t
group by t.queue_id
order by t.queue_id
