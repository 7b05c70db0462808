-- purpose: whether a table has a row
-- params: {table} quoted
-- locks: ACCESS SHARE on the table
-- index: none; it stops at the first row
select exists (select from {table})
