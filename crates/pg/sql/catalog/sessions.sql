-- purpose: how many clients are connected, and how long the oldest transaction of this database has been open.
-- params: none.
-- locks: none.
-- index: none: it is a function.
select
  count(*) filter (where a.backend_type = 'client backend')::int as clients,
  count(*) filter (where a.query = '<insufficient privilege>')::int as hidden,
  (1000 * extract(epoch from greatest(
    max(clock_timestamp() - a.xact_start) filter (
      where a.datname = current_database()
        and a.pid <> pg_backend_pid()
        and a.backend_type in ('client backend', 'background worker')),
    (
      select max(clock_timestamp() - prepared.prepared)
      from pg_prepared_xacts prepared
      where prepared.database = current_database()
    ))))::int8 as longest_transaction_ms
from pg_stat_activity a
