-- purpose: with how many rows each of several sums over their items agrees.
-- params: none; `{keys}`, `{sums}`, `{child}`, `{child_pass}`, `{judged}`, `{agreed}`, `{parent}`, `{match}` and
--   `{pass}` are put in.
-- locks: ACCESS SHARE on both tables.
-- index: none on purpose.
with sums as (
  select {keys}, count(*) as n, {sums} from {child} as c where {child_pass} group by {keys}
)
select array[count(*) filter (where {judged}){agreed}] as counts
from {parent} as t join sums as s on {match}
where {pass}
