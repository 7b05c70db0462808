-- purpose: remove a topic that nobody subscribes to
-- params: $1 name
-- locks: row exclusive
-- index: topic_pkey, subscription_topic
delete from posthaste.topic t
where t.name = $1
    and not exists (select from posthaste.subscription s where s.topic = t.name)
