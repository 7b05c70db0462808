-- purpose: a few of the rows that point to no row of another table, as texts.
-- params: none; `{shown}`, `{child}`, `{piece}`, `{is_set}`, `{parent}` and `{match}` are put in.
-- locks: ACCESS SHARE on both tables.
-- index: none on purpose; the piece is one in which such rows were counted.
select {shown} as shown
from {child} as t
where {piece} and {is_set} and not exists (select from {parent} as p where {match})
limit 5
