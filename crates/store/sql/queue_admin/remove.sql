-- purpose: remove a queue with its tables; false, and nothing is removed, when it holds messages
-- params: $1 queue id
-- locks: access exclusive on the tables of the queue
-- index: as queue_admin/has_messages
select posthaste.remove_queue($1)
