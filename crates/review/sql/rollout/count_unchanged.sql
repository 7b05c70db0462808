-- purpose: count the rows that an UPDATE would still change
-- params: {table} quoted; {alias}, {joined} and {condition} as their author wrote them; {differs} compares each column with what it is set to
-- locks: ACCESS SHARE on the tables
-- index: whatever serves the condition
select count(*) from {table}{alias}{joined} where ({condition}) and ({differs})
