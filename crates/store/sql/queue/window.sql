-- purpose: the messages from the cursor `state` on, in the order in which they are claimed; a piece of other statements,
--   which name {limit} (messages at most) and {unless_later} (which rows ahead of the window were there already)
-- params: those of the statement that it is a piece of
-- locks: access share on the log
-- index: log (xid, seq)
--
-- First what is left of the window (the messages visible in `cur` but not before), then what lies ahead of it. A
-- transaction that commits late is known by name and looked up by name: it is never skipped, and an open transaction
-- of anybody's holds nothing back. The branches are read one after the other until there is enough, and none reads more
-- rows than it returns, but for those of transactions that were still open when the window was made.
(
    select false as is_ahead, m.*
    from state s
    cross join unnest(s.late) as open (xid)
    cross join lateral (
        select {columns}
        from posthaste.{log} m
        where m.xid = open.xid
            and (m.xid, m.seq) > (s.pos_xid, s.pos_seq)
            and pg_visible_in_snapshot(m.xid, s.cur)
        order by m.xid, m.seq
        limit {limit}
    ) m
    order by m.xid, m.seq
)
union all
select false, m.*
from state s
cross join lateral (
    select {columns}
    from posthaste.{log} m
    where (m.xid, m.seq) > (s.from_xid, s.from_seq)
        and m.xid < s.cur_xmax
        and pg_visible_in_snapshot(m.xid, s.cur)
    order by m.xid, m.seq
    limit {limit}
) m
union all
(
    select true, m.*
    from state s
    cross join pg_snapshot_xip(s.cur) as open (xid)
    cross join lateral (
        select {columns}
        from posthaste.{log} m
        where m.xid = open.xid {unless_later}
        order by m.xid, m.seq
        limit {limit}
    ) m
    order by m.xid, m.seq
)
union all
select true, m.*
from state s
cross join lateral (
    select {columns}
    from posthaste.{log} m
    where m.xid >= s.cur_xmax {unless_later}
    order by m.xid, m.seq
    limit {limit}
) m
