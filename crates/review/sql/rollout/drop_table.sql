-- purpose: take a table away, with its data
-- params: {table} quoted
-- locks: ACCESS EXCLUSIVE on the table and on those that its foreign keys reference, for an instant
-- index: none
drop table {table}
