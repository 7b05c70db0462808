-- purpose: takes back that a table is durable
-- params: {table} quoted
-- locks: ACCESS EXCLUSIVE on the table, which is written anew
-- index: none: a step of a plan
alter table {table} set unlogged;
