-- purpose: a subject's schedules that are active or paused
-- params: $1 subject, $2 schedules at most
-- locks: access share on schedule
-- index: schedule_live
select s.id, s.event_id
from posthaste.schedule s
where s.subject = $1 and s.status in ('active', 'paused')
order by s.id
limit $2
