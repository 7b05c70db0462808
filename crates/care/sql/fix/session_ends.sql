-- purpose: sessions that plans have ended or left alone, the newest first.
-- params: $1 and $2 the times between which it was; NULL for any.
-- locks: ACCESS SHARE on our own table.
-- index: session_end_pkey.
select pid, backend_start, outcome, why, role, application, state, query, at
from posthaste_undo.session_end
where ($1::timestamptz is null or at >= $1) and ($2::timestamptz is null or at <= $2)
order by no desc
limit 200
