-- purpose: forbid NULL in a column, which a validated check has proven to hold none
-- params: {table} and {column} quoted
-- locks: ACCESS EXCLUSIVE on the table, for an instant: the check spares the scan
-- index: none
alter table {table} alter column {column} set not null
