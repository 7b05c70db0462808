-- purpose: the next messages of a segment, without claiming them
-- params: $1 messages at most
-- locks: access share on the log and lease tables
-- index: log (xid, seq), lease primary key backwards
with state as materialized (
    select
        l.late, l.prev_xmax, l.cur, l.pos_xid, l.pos_seq, pg_snapshot_xmax(l.cur) as cur_xmax,
        greatest(l.pos_xid, l.prev_xmax) as from_xid,
        case when l.pos_xid >= l.prev_xmax then l.pos_seq else -1 end as from_seq
    from posthaste.{lease} l
    order by l.id desc
    limit 1
)
select
    m.id, m.receives, m.sent_at, m.event_id, m.subscription_id, m.attributes, coalesce(m.payload, e.payload) as payload,
    e.type
from (
    select w.*
    from (
        {window}
    ) w
    limit $1
) m
left join lateral (select e.type, e.payload from posthaste.event e where e.id = m.event_id offset 0) e on true
