-- purpose: the name of a subscription that leads to a queue or an endpoint, if there is one
-- params: $1 queue id or null, $2 endpoint id or null
-- locks: none
-- index: subscription_queue, subscription_endpoint
(select s.name from posthaste.subscription s where s.queue_id = $1 limit 1)
union all
(select s.name from posthaste.subscription s where s.endpoint_id = $2 limit 1)
limit 1
