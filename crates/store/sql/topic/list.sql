-- purpose: a page of topics by name
-- params: $1 the name after which it starts, $2 topics at most
-- locks: none
-- index: topic_pkey
select t.name, t.priority, t.schema, t.declared, t.by_need, t.created_at
from posthaste.topic t
where t.name > $1
order by t.name
limit $2
