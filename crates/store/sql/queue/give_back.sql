-- purpose: end the lease of some messages and make them visible again after a delay
-- params: $1 lease ids, $2 transaction ids, $3 seqs, $4 delays in milliseconds, $5 whether the receive counts, $6 queue id
-- locks: row locks on the leases, row exclusive on deferred
-- index: lease primary key, log (xid, seq), deferred primary key
--
-- Answers with those that were still leased; the others have gone elsewhere.
with input as materialized (
    select u.lease_id, u.xid, u.seq, u.delay_ms, u.counts
    from unnest($1::bigint[], $2::xid8[], $3::bigint[], $4::bigint[], $5::boolean[]) as u (lease_id, xid, seq, delay_ms, counts)
), held as materialized (
    select l.id, i.seqs - l.settled - l.returned as fresh
    from (
        select u.lease_id, range_agg(int8range(u.seq, u.seq + 1)) as seqs
        from input u
        group by u.lease_id
        order by u.lease_id
    ) i
    join posthaste.{lease} l on l.id = i.lease_id
    where not l.closed
    for update of l
), settled as (
    update posthaste.{lease} l
    set
        returned = l.returned + h.fresh,
        closed = (select sum(upper(x) - lower(x)) from unnest(l.settled + l.returned + h.fresh) x) >= l.size
    from held h
    where l.id = h.id and not isempty(h.fresh)
), back as (
    insert into posthaste.deferred
        (id, queue_id, visible_at, event_id, subscription_id, receives, tracked, sent_at, attributes, payload)
    select
        coalesce(m.id, m.seq), $6, posthaste.now() + u.delay_ms * interval '1 millisecond', m.event_id,
        nullif(m.subscription_id, 0), m.receives + u.counts::integer, m.tracked, m.sent_at, m.attributes, m.payload
    from held h
    join input u on u.lease_id = h.id and h.fresh @> u.seq
    join posthaste.{log} m on m.xid = u.xid and m.seq = u.seq
    on conflict (id) do nothing
)
select u.lease_id, u.seq
from held h
join input u on u.lease_id = h.id and h.fresh @> u.seq
