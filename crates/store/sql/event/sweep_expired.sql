-- purpose: remove events, and with them their idempotency keys, that nothing needs any more
-- params: $1 events at most; $2 when the first message was sent that any log still holds, or now
-- locks: row locks on event, skipping what is locked
-- index: event_expires, event primary key, waiting_event, dead_letter_event, deferred_event
--
-- A message in a log may have its payload from its event alone. Whatever comes into a log, its event expires later
-- than that (a message that was moved there sees to it: queue/sweep_deferred.sql, queue/return_lease.sql), so what
-- expired before everything that is in the logs came there is needed by none of it. The hour is for clocks, and for
-- transactions that were long under way.
with old as materialized (
    select e.id
    from posthaste.event e
    where e.expires_at <= least($2::timestamptz, posthaste.now()) - interval '1 hour'
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
