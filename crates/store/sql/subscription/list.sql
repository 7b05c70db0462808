-- purpose: a page of subscriptions by name
-- params: $1 the name after which it starts, $2 subscriptions at most
-- locks: none
-- index: subscription_name_key, queue_pkey, endpoint_pkey
select
    s.id, s.name, s.topic, s.filter, s.queue_id, s.endpoint_id, q.name as queue, e.name as endpoint, s.declared,
    s.created_at
from posthaste.subscription s
left join posthaste.queue q on q.id = s.queue_id
left join posthaste.endpoint e on e.id = s.endpoint_id
where s.name > $1
order by s.name
limit $2
