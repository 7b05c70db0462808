-- purpose: how many rows break a condition.
-- params: none; `{from}`, `{joins}` and `{condition}` are put in.
-- locks: ACCESS SHARE on the table.
-- index: none.
select count(*) as rows from {from} as t {joins} where {condition}
