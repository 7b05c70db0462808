-- purpose: whether that session has ended
-- params: {pid} a number, {backend_start} a literal
-- locks: none
-- index: none: a step of a plan
select not exists (select from pg_stat_activity as s where s.pid = {pid} and s.backend_start = {backend_start}::timestamptz);
