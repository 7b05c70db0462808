-- purpose: make a topic by need, and tell all nodes when it is new
-- params: $1 name, $2 priority
-- locks: row exclusive
-- index: topic_pkey
with made as (
    insert into posthaste.topic (name, priority, by_need)
    values ($1, $2, true)
    on conflict (name) do nothing
    returning name
)
select pg_notify('posthaste', 'catalog')
from made
