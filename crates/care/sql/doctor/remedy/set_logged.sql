-- purpose: a step that makes a table durable
-- params: {table} quoted
-- locks: ACCESS EXCLUSIVE on the table, which is written anew
-- index: none: a step of a plan
alter table {table} set logged;
