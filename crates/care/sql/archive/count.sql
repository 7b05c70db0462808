-- purpose: how many rows are to be moved.
-- params: none; `{from}` and `{condition}` are put in.
-- locks: ACCESS SHARE on the table.
-- index: whatever serves the condition.
select count(*) as rows from {from} as t where {condition}
