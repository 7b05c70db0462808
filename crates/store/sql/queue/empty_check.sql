-- purpose: whether nothing of a locked segment is needed any more: all claimed, all leases closed
-- params: none
-- locks: none beyond those held
-- index: log (xid, seq), lease primary key backwards, lease (expires_at)
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
        select m.xid, m.seq
        from posthaste.{log} m
        where m.xid = open.xid
            and (m.xid, m.seq) > (s.pos_xid, s.pos_seq)
            and pg_visible_in_snapshot(m.xid, s.cur)
        order by m.xid, m.seq
        limit 1
    ) m
    order by m.xid, m.seq
    limit 1
), here as materialized (
    select m.*
    from state s
    cross join lateral (
        select m.xid, m.seq
        from posthaste.{log} m
        where (m.xid, m.seq) > (s.from_xid, s.from_seq)
            and m.xid < s.cur_xmax
            and pg_visible_in_snapshot(m.xid, s.cur)
        order by m.xid, m.seq
        limit 1 - (select count(*) from late)
    ) m
), ahead_late as materialized (
    select m.*
    from state s
    cross join pg_snapshot_xip(s.cur) as open (xid)
    cross join lateral (
        select m.xid, m.seq
        from posthaste.{log} m
        where m.xid = open.xid
        order by m.xid, m.seq
        limit 1 - (select count(*) from late) - (select count(*) from here)
    ) m
    order by m.xid, m.seq
    limit 1 - (select count(*) from late) - (select count(*) from here)
), ahead as materialized (
    select m.*
    from state s
    cross join lateral (
        select m.xid, m.seq
        from posthaste.{log} m
        where m.xid >= s.cur_xmax
        order by m.xid, m.seq
        limit 1 - (select count(*) from late) - (select count(*) from here) - (select count(*) from ahead_late)
    ) m
)
select
    not exists (select from late) and not exists (select from here)
        and not exists (select from ahead_late) and not exists (select from ahead)
        and not exists (
            select from posthaste.{lease} l where not l.closed and l.expires_at > '-infinity' limit 1
        ) as is_empty
