-- purpose: hold events, so that of several who finish their messages one is the last
-- params: $1 event ids
-- locks: row locks on event, in the order of ids
-- index: event primary key
select e.id
from posthaste.event e
where e.id = any($1)
order by e.id
for no key update
