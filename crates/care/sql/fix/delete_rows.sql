-- purpose: deletes rows, and keeps each of them as it was, in the same statement.
-- params: none; `{before}` (with clauses), `{from}`, `{condition}`, `{key}`, `{key_columns}`, `{relation}`, `{plan}`
--   and `{step}` are put in.
-- locks: ROW EXCLUSIVE on the table, and its rows that go.
-- index: none: the rows are few, and found by what is wrong with them.
with {before}gone as (
  delete from {from} as t
  where {condition}
  returning {key} as key, row(t.*)::text as before
)
insert into posthaste_undo.kept_row (plan, step, relation, columns, key_columns, key, before, after, checksum)
select {plan}, {step}, {relation}, posthaste_undo.columns_of({relation}), {key_columns}, key, before, null, md5(before)
from gone
