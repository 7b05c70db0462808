-- purpose: which segment of a queue takes new messages
-- params: $1 queue id
-- locks: access share on queue
-- index: queue primary key
select q.segment from posthaste.queue q where q.id = $1
