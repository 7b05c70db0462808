-- purpose: number the rows of a table by a column, as its author wrote it
-- params: {table} and {column} quoted; {identity} as its author wrote it
-- locks: ACCESS EXCLUSIVE on the table, for an instant
-- index: none
alter table {table} alter column {column} add {identity}
