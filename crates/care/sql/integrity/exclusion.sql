-- purpose: rows that an exclusion constraint should have kept apart; `{keys}` are its elements, `{pairs}` compares them
-- params: none
-- locks: ACCESS SHARE on the table
-- index: none: the constraint's own may be what is broken
with held as materialized (
  select t.tableoid as part, t.ctid as place, {shown} as shown, {keys} from {table} as t where {filter}
)
select a.shown
from held as a
where exists (select from held as b where (b.part <> a.part or b.place <> a.place) and {pairs})
