-- purpose: when the next event is due, and the database's clock
-- params: none
-- locks: access share on waiting
-- index: waiting primary key
select
    least(
        (select w.due_at from posthaste.waiting w where w.priority = 0 order by w.due_at limit 1),
        (select w.due_at from posthaste.waiting w where w.priority = 1 order by w.due_at limit 1),
        (select w.due_at from posthaste.waiting w where w.priority = 2 order by w.due_at limit 1),
        (select w.due_at from posthaste.waiting w where w.priority = 3 order by w.due_at limit 1)
    ) as next_at,
    posthaste.now() as now
