-- purpose: end the lease of some messages and put them into the dead letter queue
-- params: $1 lease ids, $2 transaction ids, $3 seqs, $4 categories, $5 codes, $6 errors, $7 queue id
-- locks: row locks on the leases, row exclusive on dead_letter
-- index: lease primary key, log (xid, seq), event primary key, subscription primary key
--
-- Answers with those that were still leased, and what is needed to finish their events. One that is given twice dies
-- once.
with input as materialized (
    select distinct on (u.lease_id, u.seq) u.lease_id, u.xid, u.seq, u.category, u.code, u.error
    from unnest($1::bigint[], $2::xid8[], $3::bigint[], $4::text[], $5::text[], $6::text[]) as u (lease_id, xid, seq, category, code, error)
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
), gone as materialized (
    select
        u.lease_id, u.seq, u.category, u.code, u.error, coalesce(m.id, m.seq) as message_id, m.event_id,
        nullif(m.subscription_id, 0) as subscription_id, m.receives, m.tracked, m.sent_at, m.attributes, m.payload
    from held h
    join input u on u.lease_id = h.id and h.fresh @> u.seq
    join posthaste.{log} m on m.xid = u.xid and m.seq = u.seq
), dead as (
    insert into posthaste.dead_letter
        (queue_id, message_id, event_id, subscription_id, endpoint_id, type, receives, tracked, category, code, error,
        sent_at, attributes, payload)
    select
        $7, g.message_id, g.event_id, g.subscription_id, s.endpoint_id, e.type, g.receives + 1, g.tracked, g.category,
        g.code, g.error, g.sent_at, g.attributes, coalesce(g.payload, e.payload, '')
    from gone g
    left join lateral (select e.type, e.payload from posthaste.event e where e.id = g.event_id offset 0) e on true
    left join lateral (
        select s.endpoint_id from posthaste.subscription s where s.id = g.subscription_id offset 0
    ) s on true
)
select g.lease_id, g.seq, g.message_id, g.event_id, g.tracked
from gone g
