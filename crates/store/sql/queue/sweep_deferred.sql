-- purpose: messages of a queue whose time has come become visible: they move to the current log
-- params: $1 queue id, $2 messages at most
-- locks: row locks on deferred, skipping what another sweep holds; row locks on event; row exclusive on the log
-- index: deferred_visible, deferred primary key, event primary key
--
-- An event that was only kept for its delayed message is kept for as long as the log holds that: see
-- event/sweep_expired.sql.
with due as materialized (
    select d.id
    from posthaste.deferred d
    where d.queue_id = $1 and d.visible_at <= posthaste.now()
    order by d.visible_at
    limit $2
    for update skip locked
), taken as (
    delete from posthaste.deferred d
    using due
    where d.id = due.id
    returning
        d.id, d.event_id, d.subscription_id, d.receives, d.tracked, d.sent_at, d.attributes, d.payload
), moved as (
    insert into posthaste.{log} (id, event_id, subscription_id, receives, tracked, sent_at, attributes, payload)
    select t.id, t.event_id, t.subscription_id, t.receives, t.tracked, t.sent_at, t.attributes, t.payload
    from taken t
    returning 1
), kept as (
    update posthaste.event e
    set expires_at = posthaste.now()
    from taken t
    where e.id = t.event_id and e.expires_at < posthaste.now()
)
select count(*) as moved
from moved
