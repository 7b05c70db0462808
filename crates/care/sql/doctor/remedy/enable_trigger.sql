-- purpose: a step that lets a trigger fire again
-- params: {table} and {name} quoted
-- locks: SHARE ROW EXCLUSIVE on the table
-- index: none: a step of a plan
alter table {table} enable trigger {name};
