-- purpose: change a subject
-- params: $1 id, $2 zone, $3 dates, $4 attributes
-- locks: a row lock on the subject
-- index: subject primary key
update posthaste.subject s
set zone = $2, dates = $3, attributes = $4, updated_at = posthaste.now()
where s.id = $1
returning s.id, s.zone, s.dates, s.attributes, s.created_at, s.updated_at
