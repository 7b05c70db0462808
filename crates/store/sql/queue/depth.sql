-- purpose: what is in one segment: messages visible, in flight, and when the oldest visible one was sent
-- params: $1 how many messages are counted at most
-- locks: access share on the log and lease tables
-- index: log (xid, seq), lease primary key backwards, lease (expires_at)
--
-- What is visible is what a claim would take next: see queue/window.sql.
with state as materialized (
    select
        l.late, l.prev_xmax, l.cur, l.pos_xid, l.pos_seq, pg_snapshot_xmax(l.cur) as cur_xmax,
        greatest(l.pos_xid, l.prev_xmax) as from_xid,
        case when l.pos_xid >= l.prev_xmax then l.pos_seq else -1 end as from_seq
    from posthaste.{lease} l
    order by l.id desc
    limit 1
), visible as materialized (
    select w.xid, w.seq, w.sent_at
    from (
        {window}
    ) w
    limit $1
)
select
    (select count(*) from visible) as visible,
    (select v.sent_at from visible v limit 1) as oldest_sent_at,
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
