-- purpose: rows of a table as the server counts them, and the oldest snapshot that keeps dead ones.
-- params: $1 table.
-- locks: none.
-- index: none; statistics views.
select
  coalesce(s.n_live_tup, 0) as live,
  coalesce(s.n_dead_tup, 0) as dead,
  (
    select (extract(epoch from clock_timestamp() - min(a.xact_start)) * 1000)::int8
    from pg_stat_activity as a
    where a.backend_xmin is not null and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
      and a.datname = current_database()
  ) as snapshot_ms
from (select 1) as always
left join pg_stat_user_tables as s on s.relid = $1::oid
