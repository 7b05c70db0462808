-- purpose: what a session does now, for a plan that means to end it.
-- params: $1 process id, $2 the start of the session, as a text, $3 when began what it is ended for, or null.
-- locks: none.
-- index: none; pg_stat_activity is small.
select
  coalesce(s.usename::text, '') as role, coalesce(s.application_name, '') as application, coalesce(s.state, '') as state,
  s.xact_start is not distinct from $3::text::timestamptz as is_same_transaction,
  s.query_start is not distinct from $3::text::timestamptz as is_same_statement, left(s.query, 200) as query
from pg_stat_activity as s
where s.pid = $1 and s.backend_start = $2::text::timestamptz
