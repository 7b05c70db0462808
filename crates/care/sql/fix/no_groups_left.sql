-- purpose: whether no two rows share their values any more.
-- params: none; `{keys}`, `{from}`, `{filter}` and `{many}` are put in.
-- locks: ACCESS SHARE on the table.
-- index: none.
select not exists (select from {from} as t where {filter} group by {keys} having {many}) as none_is_left
