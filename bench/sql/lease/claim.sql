-- Leases a batch for 30 s. $1 int: how many. Row locks, skipping locked ones; index message_visible_at.
update lease.message as m
set visible_at = now() + interval '30 seconds', receives = receives + 1
where m.id = any (array(
    select id from lease.message where visible_at <= now() order by visible_at, id
    limit $1::int for update skip locked))
returning m.id, m.payload
