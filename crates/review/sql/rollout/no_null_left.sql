-- purpose: whether a column holds no NULL
-- params: {table} and {column} quoted
-- locks: ACCESS SHARE on the table
-- index: none; it reads the table until it finds one
select not exists (select from {table} where {column} is null)
