-- purpose: how much WAL was written so far, in bytes, and the time; NULL on a replica.
-- params: none.
-- locks: none.
-- index: none.
select
  case
    when not pg_catalog.pg_is_in_recovery() then pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::int8
  end as bytes,
  (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::int8 as at_ms
