-- purpose: the name of a subscription to a topic, if there is one
-- params: $1 topic
-- locks: none
-- index: subscription_topic
select s.name
from posthaste.subscription s
where s.topic = $1
limit 1
