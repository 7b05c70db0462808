-- purpose: claim the next messages of one segment of a queue, under one new lease
-- params: $1 messages at most, $2 visibility timeout in seconds
-- locks: row exclusive on the lease table; the caller holds the segment's claim lock (queue/claim_lock.sql)
-- index: log (xid, seq), lease primary key backwards, event primary key
--
-- The newest lease row holds the cursor, and what lies behind it is in queue/window.sql. Only when the window is used
-- up does the claim open the next one, up to this statement's own snapshot.
with state as materialized (
    select
        l.late, l.prev_xmax, l.cur, l.pos_xid, l.pos_seq, pg_snapshot_xmax(l.cur) as cur_xmax,
        greatest(l.pos_xid, l.prev_xmax) as from_xid,
        case when l.pos_xid >= l.prev_xmax then l.pos_seq else -1 end as from_seq,
        pg_current_snapshot() as now_snapshot
    from posthaste.{lease} l
    order by l.id desc
    limit 1
), picked as materialized (
    select
        b.is_ahead, b.xid, b.seq, b.id, b.receives, b.tracked, b.sent_at, b.event_id, b.subscription_id, b.attributes,
        b.payload
    from (
        {window}
    ) b
    limit $1
), tally as materialized (
    select
        c.n_all, c.n_window < $1 as moves_on,
        coalesce(
            (
                select (p.xid, p.seq)::posthaste.place
                from picked p
                where p.is_ahead or c.n_window >= $1
                offset case when c.n_window < $1 then greatest(c.n_all - c.n_window - 1, 0) else c.n_all - 1 end
                limit 1
            ),
            ('0', 0)::posthaste.place
        ) as last_place
    from (
        select count(*) as n_all, count(*) filter (where not p.is_ahead) as n_window
        from picked p
    ) c
), leased as (
    insert into posthaste.{lease} (expires_at, size, late, prev_xmax, cur, pos_xid, pos_seq)
    select
        posthaste.now() + make_interval(secs => $2), t.n_all,
        case when t.moves_on then array(select pg_snapshot_xip(s.cur)) else s.late end,
        case when t.moves_on then s.cur_xmax else s.prev_xmax end,
        case when t.moves_on then s.now_snapshot else s.cur end,
        (t.last_place).xid, (t.last_place).seq
    from state s, tally t
    where t.n_all > 0
    returning id
)
select
    l.id as lease, m.xid, m.seq, m.id, m.receives, m.tracked, m.sent_at, m.event_id, m.subscription_id, m.attributes,
    coalesce(m.payload, e.payload) as payload, e.key, e.type, e.subject, e.priority, e.due_at, e.correlation_id,
    e.attributes as event_attributes
from leased l
cross join picked m
left join lateral (
    select e.key, e.type, e.subject, e.priority, e.due_at, e.correlation_id, e.attributes, e.payload
    from posthaste.event e
    where e.id = m.event_id
    offset 0
) e on true
