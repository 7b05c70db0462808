-- purpose: count the rows that have no value yet
-- params: {table} and {column} quoted
-- locks: ACCESS SHARE on the table
-- index: none; it reads the table
select count(*) from {table} where {column} is null
