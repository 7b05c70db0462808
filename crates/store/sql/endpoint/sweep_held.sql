-- purpose: messages that wait for endpoints which were resumed become visible
-- params: $1 endpoint ids, $2 queue ids, $3 messages looked at in each queue at most
-- locks: row locks on deferred, skipping what another session holds
-- index: deferred_visible, subscription primary key, deferred primary key
--
-- Those that are not looked at come by themselves: none waits for longer than 15 minutes. Retries wait in the same
-- way, and come too.
with next as materialized (
    select d.id, d.subscription_id
    from unnest($2::integer[]) as q (id)
    cross join lateral (
        select d.id, d.subscription_id
        from posthaste.deferred d
        where d.queue_id = q.id and d.visible_at > posthaste.now()
        order by d.visible_at
        limit $3
    ) d
), woken as materialized (
    select d.id
    from next n
    join posthaste.subscription s on s.id = n.subscription_id
    join posthaste.deferred d on d.id = n.id
    where s.endpoint_id = any($1)
    for update of d skip locked
)
update posthaste.deferred d
set visible_at = posthaste.now()
from woken w
where d.id = w.id
