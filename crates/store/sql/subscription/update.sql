-- purpose: change a subscription
-- params: $1 name, $2 topic, $3 filter or null, $4 queue id or null, $5 endpoint id or null, $6 whether it is declared
-- locks: row exclusive; key share on topic, queue, endpoint
-- index: subscription_name_key
update posthaste.subscription
set topic = $2, filter = $3, queue_id = $4, endpoint_id = $5, declared = $6
where name = $1
