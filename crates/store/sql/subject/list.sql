-- purpose: a page of subjects by id
-- params: $1 the id after which it starts, $2 subjects at most
-- locks: access share on subject
-- index: subject primary key
select s.id, s.zone, s.dates, s.attributes, s.created_at, s.updated_at
from posthaste.subject s
where s.id > $1
order by s.id
limit $2
