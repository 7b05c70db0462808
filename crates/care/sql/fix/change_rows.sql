-- purpose: changes rows, and keeps each of them as it was and as it is, in the same statement.
-- params: none; `{before}` (with clauses), `{values}`, `{from}`, `{joins}`, `{condition}`, `{lock}`, `{set}`,
--   `{key}`, `{key_columns}`, `{relation}`, `{plan}` and `{step}` are put in.
-- locks: ROW EXCLUSIVE on the table, and its rows that change.
-- index: none: the rows are few, and found by what is wrong with them; they are changed by their place.
with {before}picked as (
  select t.tableoid as part, t.ctid as place, row(t.*)::text as before{values}
  from {from} as t{joins}
  where {condition}{lock}
), changed as (
  update {from} as t set {set}
  from picked
  where t.tableoid = picked.part and t.ctid = picked.place
  returning {key} as key, picked.before as before, row(t.*)::text as after
)
insert into posthaste_undo.kept_row (plan, step, relation, columns, key_columns, key, before, after, checksum)
select {plan}, {step}, {relation}, posthaste_undo.columns_of({relation}), {key_columns}, key, before, after, md5(before)
from changed
