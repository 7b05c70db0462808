-- purpose: wake the scheduler when this transaction commits, if it sleeps
-- params: none
-- locks: a shared advisory lock until the transaction ends
-- index: none
select posthaste.wake('due')
