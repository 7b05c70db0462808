-- purpose: whether no row is left that breaks a condition.
-- params: none; `{from}`, `{joins}` and `{condition}` are put in.
-- locks: ACCESS SHARE on the table.
-- index: none.
select not exists (select from {from} as t {joins} where {condition}) as none_is_left
