-- purpose: counts the rows of a piece of a table that point to no row of another one; NULLs point nowhere.
-- params: none; `{child}`, `{sample}`, `{piece}`, `{is_set}`, `{parent}` and `{match}` are put in.
-- locks: ACCESS SHARE on both tables.
-- index: none on purpose: a hash of the other table's keys, read from its heap.
select count(*) as orphans
from {child} as t {sample}
where {piece} and {is_set} and not exists (select from {parent} as p where {match})
