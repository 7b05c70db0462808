-- purpose: whether a replication slot is gone
-- params: {name} a literal
-- locks: none
-- index: none: a step of a plan
select not exists (select from pg_replication_slots as s where s.slot_name = {name});
