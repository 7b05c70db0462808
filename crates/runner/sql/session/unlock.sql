-- purpose: gives the runner's lock back, before the same runner takes it on a new session.
-- params: none.
-- locks: frees those of its own session.
-- index: none.
select pg_advisory_unlock_all()
