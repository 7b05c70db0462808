-- purpose: give a table another name
-- params: {table} quoted with its schema, {to} quoted
-- locks: ACCESS EXCLUSIVE on the table, for an instant
-- index: none
alter table {table} rename to {to}
