-- purpose: have a partition of attempt for today and the coming days, and drop those that are past their time
-- params: $1 days that attempts are kept
-- locks: share update exclusive on attempt for each new partition; access exclusive on what is dropped, with a lock
--   timeout of one second
-- index: none
select posthaste.keep_attempt_partitions($1)
