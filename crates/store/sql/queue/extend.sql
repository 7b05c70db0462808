-- purpose: give one leased message more time than its lease has
-- params: $1 queue id, $2 segment, $3 lease id, $4 seq, $5 seconds from now
-- locks: a row lock on the lease, row exclusive on extension
-- index: lease primary key, extension primary key
with held as materialized (
    select l.id
    from posthaste.{lease} l
    where l.id = $3 and not l.closed and not (l.settled @> $4::bigint or l.returned @> $4::bigint)
    for update
)
insert into posthaste.extension (queue_id, segment, lease_id, seq, expires_at)
select $1, $2, h.id, $4, posthaste.now() + make_interval(secs => $5)
from held h
on conflict (queue_id, segment, lease_id, seq) do update set expires_at = excluded.expires_at
returning expires_at
