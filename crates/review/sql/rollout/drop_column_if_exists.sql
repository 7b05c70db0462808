-- purpose: take a column away, with its data, when it is there
-- params: {table} and {column} quoted
-- locks: ACCESS EXCLUSIVE on the table, for an instant
-- index: none
alter table {table} drop column if exists {column}
