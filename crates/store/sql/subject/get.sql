-- purpose: one subject
-- params: $1 id
-- locks: access share on subject
-- index: subject primary key
select s.id, s.zone, s.dates, s.attributes, s.created_at, s.updated_at
from posthaste.subject s
where s.id = $1
