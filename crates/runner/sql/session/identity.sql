-- purpose: since when a session is there, which with its process id names it for ever.
-- params: $1 process id.
-- locks: none.
-- index: none; pg_stat_activity is small.
select backend_start from pg_stat_activity where pid = $1
