-- purpose: how many sessions wait for a lock, our own apart.
-- params: $1 sessions of our own.
-- locks: none.
-- index: none; pg_stat_activity is small.
select count(*)
from pg_stat_activity as a
where a.wait_event_type = 'Lock' and a.datname = current_database() and a.pid <> all ($1::int4[])
