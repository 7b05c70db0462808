-- purpose: how many dead letters there are by queue, category and code
-- params: $1 queue id, or null for all queues; $2 letters to count in each queue at most, the newest
-- locks: access share on queue, dead_letter
-- index: dead_letter_queue; the queues are few and all read
select q.name as queue, d.category, d.code, count(*) as letters
from posthaste.queue q
cross join lateral (
    select d.category, d.code
    from posthaste.dead_letter d
    where d.queue_id = q.id
    order by d.id desc
    limit $2
) d
where $1::integer is null or q.id = $1
group by q.name, d.category, d.code
order by q.name, letters desc, d.category, d.code
