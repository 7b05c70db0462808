-- purpose: a page of schedules by id
-- params: $1 the id after which it starts, $2 schedules at most
-- locks: access share on schedule, subject
-- index: schedule primary key, subject primary key
select
    s.id, s.name, s.type, s.subject, s.rule, s.follows, s.zone, s.at, s.priority, s.attributes, s.payload, s.status,
    s.event_id, s.next_at, s.following_at, s.occurrences, s.created_at, s.updated_at, u.zone as subject_zone,
    u.dates as subject_dates
from posthaste.schedule s
left join posthaste.subject u on u.id = s.subject
where s.id > $1
order by s.id
limit $2
