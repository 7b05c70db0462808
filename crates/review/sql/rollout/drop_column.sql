-- purpose: take a column away, with its data
-- params: {table} and {column} quoted
-- locks: ACCESS EXCLUSIVE on the table, for an instant
-- index: none
alter table {table} drop column {column}
