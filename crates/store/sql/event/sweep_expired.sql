-- purpose: remove events, and with them their idempotency keys, that nothing needs any more
-- params: $1 events at most
-- locks: row locks on event, skipping what is locked
-- index: event_expires, event primary key, waiting_event, dead_letter_event, deferred_event
with old as materialized (
    select e.id
    from posthaste.event e
    where e.expires_at <= posthaste.now()
        and not exists (select from posthaste.waiting w where w.event_id = e.id)
        and not exists (select from posthaste.dead_letter d where d.event_id = e.id)
        and not exists (select from posthaste.deferred d where d.event_id = e.id)
    order by e.expires_at
    limit $1
    for update of e skip locked
)
delete from posthaste.event e
using old
where e.id = old.id
