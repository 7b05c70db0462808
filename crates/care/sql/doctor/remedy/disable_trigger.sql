-- purpose: takes back that a trigger fires
-- params: {table} and {name} quoted
-- locks: SHARE ROW EXCLUSIVE on the table
-- index: none: a step of a plan
alter table {table} disable trigger {name};
