-- purpose: what is in one segment: messages visible, in flight, and when the oldest visible one was sent
-- params: $1 how many messages are counted at most
-- locks: access share on the log and lease tables
-- index: log (xid, seq), lease primary key backwards, lease (expires_at)
--
-- Walks the same way as queue/claim.sql and takes nothing.
with state as materialized (
    select
        l.late, l.prev_xmax, l.cur, l.pos_xid, l.pos_seq, pg_snapshot_xmax(l.cur) as cur_xmax,
        greatest(l.pos_xid, l.prev_xmax) as from_xid,
        case when l.pos_xid >= l.prev_xmax then l.pos_seq else -1 end as from_seq
    from posthaste.{lease} l
    order by l.id desc
    limit 1
), late as materialized (
    select m.*
    from state s
    cross join unnest(s.late) as open (xid)
    cross join lateral (
        select m.xid, m.seq, m.sent_at
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
        select m.xid, m.seq, m.sent_at
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
        select m.xid, m.seq, m.sent_at
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
        select m.xid, m.seq, m.sent_at
        from posthaste.{log} m
        where m.xid >= s.cur_xmax
        order by m.xid, m.seq
        limit $1 - (select count(*) from late) - (select count(*) from here) - (select count(*) from ahead_late)
    ) m
)
select
    (select count(*) from late) + (select count(*) from here)
        + (select count(*) from ahead_late) + (select count(*) from ahead) as visible,
    coalesce(
        (select sent_at from late limit 1), (select sent_at from here limit 1),
        (select sent_at from ahead_late limit 1), (select sent_at from ahead limit 1)
    ) as oldest_sent_at,
    (
        select coalesce(sum(open.size - open.done), 0)::bigint
        from (
            select
                l.size,
                (select coalesce(sum(upper(r) - lower(r)), 0) from unnest(l.settled + l.returned) r) as done
            from posthaste.{lease} l
            where l.expires_at > posthaste.now() and not l.closed
            order by l.expires_at
            limit $1
        ) open
    ) as in_flight
