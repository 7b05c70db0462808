-- purpose: add a column that is NULL in every row
-- params: {table} and {column} quoted, {type} as its author wrote it
-- locks: ACCESS EXCLUSIVE on the table, for an instant
-- index: none
alter table {table} add column {column} {type}
