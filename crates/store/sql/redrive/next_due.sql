-- purpose: when the next letter of a redrive goes back
-- params: none
-- locks: access share on dead_letter
-- index: dead_letter_redrive
select d.redrive_at
from posthaste.dead_letter d
where d.redrive_id is not null
order by d.redrive_at
limit 1
