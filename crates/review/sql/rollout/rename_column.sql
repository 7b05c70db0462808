-- purpose: give a column another name
-- params: {table}, {column} and {to} quoted
-- locks: ACCESS EXCLUSIVE on the table, for an instant
-- index: none
alter table {table} rename column {column} to {to}
