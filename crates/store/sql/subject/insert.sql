-- purpose: make a subject; no row when there is one of that id
-- params: $1 id, $2 zone, $3 dates, $4 attributes
-- locks: row exclusive on subject
-- index: subject primary key
insert into posthaste.subject as s (id, zone, dates, attributes)
values ($1, $2, $3, $4)
on conflict (id) do nothing
returning s.id, s.zone, s.dates, s.attributes, s.created_at, s.updated_at
