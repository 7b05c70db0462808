-- purpose: whether a column holds NULL
-- params: {table} and {column} quoted
-- locks: ACCESS SHARE on the table
-- index: one on the column if there is one; it stops at the first NULL, and the statement timeout bounds it
select exists (select from {table} where {column} is null)
