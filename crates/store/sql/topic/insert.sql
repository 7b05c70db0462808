-- purpose: make a topic; no row when there is one of that name
-- params: $1 name, $2 priority, $3 schema or null, $4 whether it is declared
-- locks: row exclusive
-- index: topic_pkey
insert into posthaste.topic as t (name, priority, schema, declared)
values ($1, $2, $3, $4)
on conflict (name) do nothing
returning t.name, t.priority, t.schema, t.declared, t.by_need, t.created_at
