-- purpose: events that are not yet messages, to see whether one is stuck; a benchmark may count them
-- params: none
-- locks: none
-- index: none, all of a table that is empty unless something is wrong
select count(*) from (select from posthaste.waiting w limit 10000) w
