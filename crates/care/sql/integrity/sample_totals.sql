-- purpose: a few of the rows whose total is not the sum of their items, with both.
-- params: none; `{keys}`, `{item}`, `{child}`, `{child_pass}`, `{shown}`, `{total}`, `{expected}`, `{parent}`,
--   `{match}` and `{pass}` are put in.
-- locks: ACCESS SHARE on both tables.
-- index: none on purpose.
with sums as (
  select {keys}, count(*) as n, sum({item}) as items from {child} as c where {child_pass} group by {keys}
)
select {shown} || ': ' || coalesce({total}::text, 'null') || ', and its items ' || {expected} as shown
from {parent} as t left join sums as s on {match}
where {pass} and {total} is distinct from {expected}
limit 5
