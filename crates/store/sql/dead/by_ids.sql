-- purpose: dead letters in the order in which their ids are given
-- params: $1 ids, $2 whether the payloads are wanted
-- locks: access share on dead_letter, queue, subscription, endpoint
-- index: primary keys of dead_letter, queue, subscription, endpoint
select
    d.id, q.name as queue, d.message_id, d.event_id, d.type, s.name as subscription, e.name as endpoint, d.receives,
    d.category, d.code, d.error, d.sent_at, d.died_at, d.redrive_id, d.redrive_at, d.attributes,
    case when $2::boolean then d.payload end as payload
from unnest($1::bigint[]) with ordinality as u (id, place)
join posthaste.dead_letter d on d.id = u.id
join posthaste.queue q on q.id = d.queue_id
left join posthaste.subscription s on s.id = d.subscription_id
left join posthaste.endpoint e on e.id = d.endpoint_id
order by u.place
