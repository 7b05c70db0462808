-- purpose: the first cursor of an emptied segment
-- params: $1 queue id, $2 segment
-- locks: row exclusive on the lease table
-- index: none
select posthaste.start_cursor($1, $2)
