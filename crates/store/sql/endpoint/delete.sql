-- purpose: remove an endpoint that no subscription leads to
-- params: $1 id
-- locks: row exclusive
-- index: endpoint_pkey, subscription_endpoint
delete from posthaste.endpoint e
where e.id = $1
    and not exists (select from posthaste.subscription s where s.endpoint_id = e.id)
