-- purpose: let the other segment of a queue take new messages
-- params: $1 queue id, $2 the segment that has taken them until now
-- locks: a row lock on the queue
-- index: queue primary key
update posthaste.queue q
set segment = 1 - q.segment, rotated_at = posthaste.now()
where q.id = $1 and q.segment = $2
returning q.segment
