-- purpose: takes a new table back
-- params: {name} quoted
-- locks: ACCESS EXCLUSIVE on the table
-- index: none: a step of a plan
drop table {name};
