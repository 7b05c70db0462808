-- purpose: hold schedules whose next occurrence's time comes, while the last one has not ended
-- params: $1 in how many seconds it comes, $2 schedules at most
-- locks: row locks on schedule, skipping what somebody holds who finishes, moves or withdraws its occurrence
-- index: schedule_following, event primary key
select
    s.id, s.following_at, e.published_at,
    coalesce(e.published_at is null and e.cancelled_at is null and e.id is not null, false) as is_waiting
from posthaste.schedule s
left join posthaste.event e on e.id = s.event_id
where s.following_at <= posthaste.now() + make_interval(secs => $1)
order by s.following_at
limit $2
for no key update of s skip locked
