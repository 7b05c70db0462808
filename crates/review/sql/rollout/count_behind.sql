-- purpose: count the rows whose successor column is not in step
-- params: {table} and {column} quoted; {expression} as its author wrote it
-- locks: ACCESS SHARE on the table
-- index: none; it reads the table
select count(*) from {table} where {column} is distinct from ({expression})
