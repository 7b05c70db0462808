-- purpose: only one runner at a time: a lock of the session that the server frees when it ends.
-- params: none.
-- locks: an advisory lock of this database.
-- index: none.
select pg_try_advisory_lock(1347375956, 5395790)
