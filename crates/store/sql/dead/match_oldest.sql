-- purpose: the ids of dead letters that a filter selects, oldest first, out of a bounded part of the table
-- params: $1 the id after which the part begins, $2 rows to look at, $3 ids to find, both at most; the filter, each part
--   of it null where it does not matter: $4 queue id, $5 category or code in lower case, $6 event type, $7 endpoint id,
--   $8 least and $9 greatest age in seconds, $10 died at or after, $11 died before, $12 ids, $13 whether those that a
--   redrive has taken are left out
-- locks: access share on dead_letter
-- index: dead_letter primary key, or dead_letter_queue where a queue is given
--
-- Whoever wants more goes on from the last id that was looked at. One of the three branches gives rows.
with part as materialized (
    (
        select d.id
        from posthaste.dead_letter d
        where $12::bigint[] is null and $4::integer is null and d.id > $1
        order by d.id
        limit $2
    )
    union all
    (
        select d.id
        from posthaste.dead_letter d
        where $12::bigint[] is null and d.queue_id = $4 and d.id > $1
        order by d.id
        limit $2
    )
    union all
    (
        select u.id
        from unnest($12::bigint[]) as u (id)
        where u.id > $1
        order by u.id
        limit $2
    )
), found as materialized (
    select d.id
    from part p
    join posthaste.dead_letter d on d.id = p.id
    where ($4 is null or d.queue_id = $4)
        and ($5::text is null or lower(d.category) = $5 or lower(d.code) = $5)
        and ($6::text is null or d.type = $6)
        and ($7::integer is null or d.endpoint_id = $7)
        and ($8::bigint is null or d.died_at <= posthaste.now() - make_interval(secs => $8))
        and ($9::bigint is null or d.died_at >= posthaste.now() - make_interval(secs => $9))
        and ($10::timestamptz is null or d.died_at >= $10)
        and ($11::timestamptz is null or d.died_at < $11)
        and not ($13::boolean and d.redrive_id is not null)
    order by d.id
    limit $3
)
select
    array(select f.id from found f order by f.id) as ids, (select count(*) from part) as looked_at,
    (select max(p.id) from part p) as last_id
