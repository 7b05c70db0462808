-- purpose: what the runner sets before a statement of a plan, for the review of the plan
-- params: none
-- locks: none
-- index: none
set lock_timeout = '1s'
