-- purpose: a step that gives up a replication slot and the WAL that it keeps
-- params: {name} a literal
-- locks: none
-- index: none: a step of a plan
select pg_drop_replication_slot(s.slot_name) from pg_replication_slots as s where s.slot_name = {name} and not s.active;
