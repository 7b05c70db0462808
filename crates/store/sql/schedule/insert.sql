-- purpose: make a schedule without an occurrence; no row when there is one of that name
-- params: $1 name, $2 type, $3 subject, $4 rule, $5 date that it follows, $6 zone, $7 local time, $8 priority,
--   $9 attributes, $10 payload
-- locks: row exclusive on schedule; a key share lock on the subject
-- index: schedule_name_key
insert into posthaste.schedule (name, type, subject, rule, follows, zone, at, priority, attributes, payload)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (name) do nothing
returning id
