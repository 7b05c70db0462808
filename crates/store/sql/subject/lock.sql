-- purpose: one subject, which is about to be changed or removed
-- params: $1 id
-- locks: a row lock on the subject
-- index: subject primary key
select s.id, s.zone, s.dates, s.attributes, s.created_at, s.updated_at
from posthaste.subject s
where s.id = $1
for no key update
