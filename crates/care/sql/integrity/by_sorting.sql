-- purpose: whether the next statements may group by hashing. Integers mostly lie in their order, and are sorted in a
--   third of the time that hashing them takes.
-- params: $1 `off` to sort, `on` to go by what the planner thinks.
-- locks: none.
-- index: none.
select set_config('enable_hashagg', $1, false)
