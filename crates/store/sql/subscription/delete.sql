-- purpose: remove a subscription
-- params: $1 name
-- locks: row exclusive
-- index: subscription_name_key
delete from posthaste.subscription
where name = $1
