-- purpose: whether a row breaks a condition
-- params: {table} quoted, {condition} as it is written
-- locks: ACCESS SHARE on the table
-- index: none; it stops at the first row that does, and the statement timeout bounds it
select exists (select from {table} where not ({condition}))
