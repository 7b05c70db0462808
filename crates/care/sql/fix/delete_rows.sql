-- purpose: deletes rows of a batch that are still wrong, and keeps each of them as it was, in the same statement.
-- params: none; `{found}`, `{from}`, `{matched}`, `{batch}`, `{still}`, `{key}`, `{key_columns}`, `{relation}`, `{plan}`
--   and `{step}` are put in, the batch by the runner.
-- locks: ROW EXCLUSIVE on the table, and its rows that go.
-- index: the key's.
with gone as (
  delete from {from} as t using {found} as w
  where {batch} and {matched} and ({still})
  returning w.no as no, {key} as key, row(t.*)::text as before
)
insert into posthaste_undo.kept_row (plan, step, pick, relation, columns, key_columns, key, before, after, checksum)
select
  {plan}, {step}, no, {relation},
  -- asked once, and not for each row.
  (select posthaste_undo.columns_of({relation})), {key_columns}, key, before, null, md5(before)
from gone
