-- purpose: what is dead, to account for it
-- params: $1 the last id of the page before
-- locks: none
-- index: dead_letter_pkey
select d.id, d.payload from posthaste.dead_letter d where d.id > $1 order by d.id limit 10000
