-- purpose: bound how long a migration waits for a lock, and so how long others wait behind it
-- params: $1 the timeout, with its unit
-- locks: none
-- index: none
select set_config('lock_timeout', $1, true)
