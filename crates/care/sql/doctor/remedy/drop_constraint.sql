-- purpose: a step that drops a constraint with its index
-- params: {table} and {name} quoted
-- locks: ACCESS EXCLUSIVE on the table, for a moment
-- index: none: a step of a plan
alter table {table} drop constraint {name};
