-- purpose: one subject, whose zone and dates stay as they are until this transaction ends
-- params: $1 id
-- locks: a share lock on the subject
-- index: subject primary key
select s.id, s.zone, s.dates, s.attributes, s.created_at, s.updated_at
from posthaste.subject s
where s.id = $1
for share
