-- purpose: end an expired lease: what was not settled becomes visible again, or dies when its receives are used up
-- params: $1 lease id, $2 queue id, $3 segment, $4 receives at most
-- locks: row locks on the lease, event; row exclusive on the current log, dead_letter
-- index: log (xid, seq), lease primary key, extension primary key, event primary key
--
-- What the lease holds is what its claim found: what lies between the cursor of the row before and its own.
with mine as materialized (
    select l.id, l.size, l.settled, l.returned, l.cur
    from posthaste.{lease} l
    where l.id = $1
), state as materialized (
    select
        l.late, l.prev_xmax, l.cur, l.pos_xid, l.pos_seq, pg_snapshot_xmax(l.cur) as cur_xmax,
        greatest(l.pos_xid, l.prev_xmax) as from_xid,
        case when l.pos_xid >= l.prev_xmax then l.pos_seq else -1 end as from_seq,
        (select m.cur from mine m) as now_snapshot, (select m.size from mine m) as size
    from posthaste.{lease} l
    where l.id < $1
    order by l.id desc
    limit 1
), held as materialized (
    select w.*
    from (
        {window}
    ) w
    limit (select size from state)
), extended as materialized (
    select x.seq, x.expires_at
    from posthaste.extension x
    where x.queue_id = $2 and x.segment = $3 and x.lease_id = $1 and x.expires_at > posthaste.now()
), rest as materialized (
    select
        h.seq, h.id, h.receives, h.tracked, h.sent_at, h.event_id, h.subscription_id, h.attributes, h.payload
    from held h, mine m
    where not (m.settled @> h.seq or m.returned @> h.seq)
        and not exists (select from extended x where x.seq = h.seq)
), back as (
    insert into posthaste.{current_log}
        (id, event_id, subscription_id, receives, tracked, sent_at, attributes, payload)
    select r.id, r.event_id, nullif(r.subscription_id, 0), r.receives + 1, r.tracked, r.sent_at, r.attributes, r.payload
    from rest r
    where r.receives + 1 < $4
), kept as (
    update posthaste.event e
    set expires_at = posthaste.now()
    from rest r
    where e.id = r.event_id and e.expires_at < posthaste.now() and r.receives + 1 < $4
), dead as (
    insert into posthaste.dead_letter
        (queue_id, message_id, event_id, subscription_id, endpoint_id, type, receives, tracked, category, code, error,
        sent_at, attributes, payload)
    select
        $2, r.id, r.event_id, nullif(r.subscription_id, 0), s.endpoint_id, e.type, r.receives + 1, r.tracked, 'TIMEOUT', 'lease-expired',
        'the consumer neither settled the message nor gave it back in time, ' || (r.receives + 1) || ' times',
        r.sent_at, r.attributes, coalesce(r.payload, e.payload, '')
    from rest r
    left join lateral (select e.type, e.payload from posthaste.event e where e.id = r.event_id offset 0) e on true
    left join lateral (
        select s.endpoint_id from posthaste.subscription s where s.id = r.subscription_id offset 0
    ) s on true
    where r.receives + 1 >= $4
), ended as (
    update posthaste.{lease} l
    set
        returned = l.returned + coalesce((select range_agg(int8range(r.seq, r.seq + 1)) from rest r), '{}'),
        closed = not exists (select from extended),
        expires_at = coalesce((select min(x.expires_at) from extended x), l.expires_at)
    where l.id = $1
)
select r.id as message_id, r.event_id, r.tracked, r.receives + 1 >= $4 as died
from rest r
