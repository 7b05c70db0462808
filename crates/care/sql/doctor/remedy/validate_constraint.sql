-- purpose: a step that checks the rows that are there
-- params: {table} and {name} quoted
-- locks: SHARE UPDATE EXCLUSIVE on the table, ROW SHARE on the one that it refers to
-- index: none: a step of a plan
alter table {table} validate constraint {name};
