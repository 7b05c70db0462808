-- purpose: make the tables of both segments of a new queue
-- params: $1 queue id
-- locks: access exclusive on the new tables
-- index: none
select posthaste.create_segment($1, 0::smallint), posthaste.create_segment($1, 1::smallint)
