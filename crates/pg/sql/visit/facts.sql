-- purpose: what a visit must know of the server and of its own session first.
-- params: none.
-- locks: none.
-- index: none.
select
  current_setting('server_version_num')::int as version_num,
  pg_catalog.pg_backend_pid() as backend_pid,
  pg_catalog.pg_is_in_recovery() as is_replica
