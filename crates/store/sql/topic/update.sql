-- purpose: change a topic
-- params: $1 name, $2 priority, $3 schema or null, $4 whether it is declared
-- locks: row exclusive
-- index: topic_pkey
update posthaste.topic t
set priority = $2, schema = $3, declared = $4, by_need = false
where t.name = $1
returning t.name, t.priority, t.schema, t.declared, t.by_need, t.created_at
