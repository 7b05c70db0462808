-- purpose: one topic
-- params: $1 its name
-- locks: none
-- index: topic_pkey
select t.name, t.priority, t.schema, t.declared, t.by_need, t.created_at
from posthaste.topic t
where t.name = $1
