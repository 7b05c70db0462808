-- purpose: the id of a schedule
-- params: $1 its name
-- locks: access share on schedule
-- index: schedule_name_key
select s.id
from posthaste.schedule s
where s.name = $1
