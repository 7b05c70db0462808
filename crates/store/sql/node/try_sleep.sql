-- purpose: say that the scheduler sleeps, for as long as this transaction is open
-- params: none
-- locks: the sleeper's advisory lock, exclusively; see posthaste.wake
-- index: none
select pg_try_advisory_xact_lock(7306086, 0)
