-- purpose: make a subscription; no row when there is one of that name
-- params: $1 name, $2 topic, $3 filter or null, $4 queue id or null, $5 endpoint id or null, $6 whether it is declared
-- locks: row exclusive; key share on topic, queue, endpoint
-- index: subscription_name_key
insert into posthaste.subscription (name, topic, filter, queue_id, endpoint_id, declared)
values ($1, $2, $3, $4, $5, $6)
on conflict (name) do nothing
returning id
