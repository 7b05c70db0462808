-- purpose: counts the rows of a piece of a table that break each of several conditions.
-- params: none; `{counts}`, `{table}`, `{sample}` and `{piece}` are put in.
-- locks: ACCESS SHARE on the table.
-- index: none on purpose, since an index may be what is broken; pieces are ranges of ctid.
select array[count(*){counts}] as counts
from {table} as t {sample}
where {piece}
