-- purpose: counts the rows whose total is not the sum of their items.
-- params: none; `{keys}`, `{item}`, `{child}`, `{child_pass}`, `{total}`, `{expected}`, `{parent}`, `{match}` and
--   `{pass}` are put in.
-- locks: ACCESS SHARE on both tables.
-- index: none on purpose.
with sums as (
  select {keys}, count(*) as n, sum({item}) as items from {child} as c where {child_pass} group by {keys}
)
select
  count(*) as "of",
  count(*) filter (where {total} is distinct from {expected}) as rows,
  count(*) filter (where {total} is null) as missing,
  count(*) filter (where abs({total} - {expected}) = 0.01) as by_one_cent,
  count(*) filter (where {total} is distinct from {expected} and s.n is null) as without_items
from {parent} as t left join sums as s on {match}
where {pass}
