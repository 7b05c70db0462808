-- purpose: a step that cancels what one session runs, and of no later one of the same number
-- params: {pid} a number, {backend_start} a literal
-- locks: none
-- index: none: a step of a plan
select count(pg_cancel_backend(s.pid)) from pg_stat_activity as s where s.pid = {pid} and s.backend_start = {backend_start}::timestamptz;
