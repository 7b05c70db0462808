-- purpose: a page of a subject's schedules by id
-- params: $1 subject, $2 the id after which it starts, $3 schedules at most
-- locks: access share on schedule, subject
-- index: schedule_subject, subject primary key
select
    s.id, s.name, s.type, s.subject, s.rule, s.follows, s.zone, s.at, s.priority, s.attributes, s.payload, s.status,
    s.event_id, s.next_at, s.following_at, s.occurrences, s.created_at, s.updated_at, u.zone as subject_zone,
    u.dates as subject_dates
from posthaste.schedule s
left join posthaste.subject u on u.id = s.subject
where s.subject = $1 and s.id > $2
order by s.id
limit $3
