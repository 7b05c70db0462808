-- purpose: stop numbering by a column
-- params: {table} and {column} quoted
-- locks: ACCESS EXCLUSIVE on the table, for an instant
-- index: none
alter table {table} alter column {column} drop identity
