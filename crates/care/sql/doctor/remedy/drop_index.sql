-- purpose: a step that drops an index without stopping anybody
-- params: {name} quoted
-- locks: SHARE UPDATE EXCLUSIVE on the table
-- index: none: a step of a plan
drop index concurrently if exists {name};
