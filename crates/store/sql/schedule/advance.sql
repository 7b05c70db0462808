-- purpose: remember the occurrences that follow, or that there is none
-- params: $1 ids, $2 statuses, $3 events, $4 when these are due, $5 when what follows them is, $6 how many occurrences
--   were made
-- locks: row locks on schedule, which the caller holds
-- index: schedule primary key
update posthaste.schedule s
set status = u.status, event_id = u.event_id, next_at = u.next_at, following_at = u.following_at,
    occurrences = u.occurrences, updated_at = posthaste.now()
from unnest($1::bigint[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::bigint[])
    as u (id, status, event_id, next_at, following_at, occurrences)
where s.id = u.id
