-- purpose: remove a subject, and with it its schedules
-- params: $1 id
-- locks: row locks on the subject, its schedules and their events
-- index: subject primary key, schedule_subject, event_schedule
delete from posthaste.subject s
where s.id = $1
