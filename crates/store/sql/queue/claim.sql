-- purpose: claim the next messages of one segment of a queue, under one new lease
-- params: $1 messages at most, $2 visibility timeout in seconds
-- locks: row exclusive on the lease table; the caller holds the segment's claim lock (queue/claim_lock.sql)
-- index: log (xid, seq), lease primary key backwards, event primary key
--
-- The newest lease row holds the cursor. `late` and `here` are what is left of its window: the messages visible
-- in `cur` but not before. Only when they are used up do `ahead_late` and `ahead` open the next window, up to
-- this statement's own snapshot. A transaction that commits late is known by name and looked up by name: it is
-- never skipped, and an open transaction of anybody's holds nothing back. No branch reads more rows than it
-- returns, but for those of transactions that were still open when the window was made.
with state as materialized (
    select
        l.late, l.prev_xmax, l.cur, l.pos_xid, l.pos_seq, pg_snapshot_xmax(l.cur) as cur_xmax,
        greatest(l.pos_xid, l.prev_xmax) as from_xid,
        case when l.pos_xid >= l.prev_xmax then l.pos_seq else -1 end as from_seq,
        pg_current_snapshot() as now_snapshot
    from posthaste.{lease} l
    order by l.id desc
    limit 1
), late as materialized (
    select m.*
    from state s
    cross join unnest(s.late) as open (xid)
    cross join lateral (
        select {columns}
        from posthaste.{log} m
        where m.xid = open.xid
            and (m.xid, m.seq) > (s.pos_xid, s.pos_seq)
            and pg_visible_in_snapshot(m.xid, s.cur)
        order by m.xid, m.seq
        limit $1
    ) m
    order by m.xid, m.seq
    limit $1
), here as materialized (
    select m.*
    from state s
    cross join lateral (
        select {columns}
        from posthaste.{log} m
        where (m.xid, m.seq) > (s.from_xid, s.from_seq)
            and m.xid < s.cur_xmax
            and pg_visible_in_snapshot(m.xid, s.cur)
        order by m.xid, m.seq
        limit $1 - (select count(*) from late)
    ) m
), ahead_late as materialized (
    select m.*
    from state s
    cross join pg_snapshot_xip(s.cur) as open (xid)
    cross join lateral (
        select {columns}
        from posthaste.{log} m
        where m.xid = open.xid
        order by m.xid, m.seq
        limit $1 - (select count(*) from late) - (select count(*) from here)
    ) m
    order by m.xid, m.seq
    limit $1 - (select count(*) from late) - (select count(*) from here)
), ahead as materialized (
    select m.*
    from state s
    cross join lateral (
        select {columns}
        from posthaste.{log} m
        where m.xid >= s.cur_xmax
        order by m.xid, m.seq
        limit $1 - (select count(*) from late) - (select count(*) from here) - (select count(*) from ahead_late)
    ) m
), tally as materialized (
    select
        n_late + n_here as n_window, n_late + n_here + n_ahead_late + n_ahead as n_all, n_late + n_here < $1 as moves_on,
        coalesce(
            (select (m.xid, m.seq)::posthaste.place from ahead m offset greatest(n_ahead - 1, 0) limit 1),
            (select (m.xid, m.seq)::posthaste.place from ahead_late m offset greatest(n_ahead_late - 1, 0) limit 1),
            ('0', 0)::posthaste.place
        ) as last_ahead,
        coalesce(
            (select (m.xid, m.seq)::posthaste.place from here m offset greatest(n_here - 1, 0) limit 1),
            (select (m.xid, m.seq)::posthaste.place from late m offset greatest(n_late - 1, 0) limit 1)
        ) as last_here
    from (
        select
            (select count(*) from late) as n_late, (select count(*) from here) as n_here,
            (select count(*) from ahead_late) as n_ahead_late, (select count(*) from ahead) as n_ahead
    ) counts
), leased as (
    insert into posthaste.{lease} (expires_at, size, late, prev_xmax, cur, pos_xid, pos_seq)
    select
        posthaste.now() + make_interval(secs => $2), t.n_all,
        case when t.moves_on then array(select pg_snapshot_xip(s.cur)) else s.late end,
        case when t.moves_on then s.cur_xmax else s.prev_xmax end,
        case when t.moves_on then s.now_snapshot else s.cur end,
        case when t.moves_on then (t.last_ahead).xid else (t.last_here).xid end,
        case when t.moves_on then (t.last_ahead).seq else (t.last_here).seq end
    from state s, tally t
    where t.n_all > 0
    returning id
)
select
    l.id as lease, m.xid, m.seq, m.id, m.receives, m.tracked, m.sent_at, m.event_id, m.subscription_id, m.attributes,
    coalesce(m.payload, e.payload) as payload, e.key, e.type, e.subject, e.priority, e.due_at, e.correlation_id,
    e.attributes as event_attributes
from leased l
cross join (
    select * from late union all select * from here union all select * from ahead_late union all select * from ahead
) m
left join lateral (
    select e.key, e.type, e.subject, e.priority, e.due_at, e.correlation_id, e.attributes, e.payload
    from posthaste.event e
    where e.id = m.event_id
    offset 0
) e on true
