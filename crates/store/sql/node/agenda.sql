-- purpose: what the keeper has to do next: when the next waiting event, occurrence by the clock, redriven letter and
--   delayed message of each queue is due, and the database's clock
-- params: none
-- locks: access share on waiting, schedule, dead_letter, queue, deferred
-- index: waiting primary key, schedule_following, dead_letter_redrive, deferred_visible
select
    posthaste.now() as now,
    least(
        (select w.due_at from posthaste.waiting w where w.priority = 0 order by w.due_at limit 1),
        (select w.due_at from posthaste.waiting w where w.priority = 1 order by w.due_at limit 1),
        (select w.due_at from posthaste.waiting w where w.priority = 2 order by w.due_at limit 1),
        (select w.due_at from posthaste.waiting w where w.priority = 3 order by w.due_at limit 1)
    ) as event_at,
    (
        select s.following_at
        from posthaste.schedule s
        where s.following_at is not null
        order by s.following_at
        limit 1
    ) as following_at,
    (
        select d.redrive_at
        from posthaste.dead_letter d
        where d.redrive_id is not null
        order by d.redrive_at
        limit 1
    ) as redrive_at,
    delayed.queue_ids,
    delayed.visible_ats
from (
    select array_agg(q.id) as queue_ids, array_agg(first.visible_at) as visible_ats
    from posthaste.queue q
    cross join lateral (
        select d.visible_at
        from posthaste.deferred d
        where d.queue_id = q.id
        order by d.visible_at
        limit 1
    ) first
) delayed
