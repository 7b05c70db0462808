-- purpose: how many messages of a queue become visible later, counted up to a limit
-- params: $1 queue id, $2 how many are counted at most
-- locks: access share on deferred
-- index: deferred_visible
select count(*) as delayed, min(d.visible_at) as next_at
from (
    select d.visible_at
    from posthaste.deferred d
    where d.queue_id = $1
    order by d.visible_at
    limit $2
) d
