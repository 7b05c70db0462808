-- purpose: how long the oldest transaction of others is open.
-- params: $1 sessions of our own.
-- locks: none.
-- index: none; pg_stat_activity is small.
select
  max((extract(epoch from clock_timestamp() - a.xact_start) * 1000)::int8) as age_ms,
  count(*) filter (where a.state is null) as hidden
from pg_stat_activity as a
where a.backend_type = 'client backend' and a.datname = current_database() and a.pid <> all ($1::int4[])
