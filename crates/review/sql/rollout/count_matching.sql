-- purpose: count the rows that a DELETE has still to find
-- params: {table} quoted; {alias} and {condition} as their author wrote them
-- locks: ACCESS SHARE on the tables
-- index: whatever serves the condition
select count(*) from {table}{alias} where ({condition})
