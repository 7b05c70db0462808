-- purpose: how much WAL was written so far.
-- params: none.
-- locks: none.
-- index: none.
select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8 as wal_bytes, clock_timestamp() as now
