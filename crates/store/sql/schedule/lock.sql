-- purpose: hold schedules, so that only this transaction makes, moves or withdraws their occurrences
-- params: $1 ids
-- locks: row locks on schedule, in the order of ids; taken after those on waiting and event
-- index: schedule primary key
select s.id
from posthaste.schedule s
where s.id = any($1)
order by s.id
for no key update
