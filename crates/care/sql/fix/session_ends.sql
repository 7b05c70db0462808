-- purpose: sessions that plans have ended or left alone, the newest first.
-- params: none.
-- locks: ACCESS SHARE on our own table.
-- index: session_end_pkey.
select pid, backend_start, outcome, why, role, application, state, query, at
from posthaste_undo.session_end
order by no desc
limit 200
