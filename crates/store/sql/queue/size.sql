-- purpose: bytes of a segment's log and of the other one, and whether it has taken messages for more than a day
-- params: $1 queue id
-- locks: access share on both logs, for the moment of the call
-- index: queue primary key
select
    pg_relation_size('posthaste.{log}') as bytes, pg_relation_size('posthaste.{other_log}') as other_bytes,
    q.rotated_at < posthaste.now() - interval '1 day' as is_old
from posthaste.queue q
where q.id = $1
