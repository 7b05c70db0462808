-- purpose: changes rows of a batch that are still wrong, and keeps each of them as it was and as it is, in the same
--   statement.
-- params: none; `{values}`, `{found}`, `{from}`, `{matched}`, `{batch}`, `{still}`, `{set}`, `{key}`, `{key_columns}`,
--   `{relation}`, `{plan}` and `{step}` are put in, the batch by the runner.
-- locks: ROW EXCLUSIVE on the table, and its rows that change.
-- index: the key's; rows are changed by their place.
with picked as (
  select w.no as no, t.tableoid as part, t.ctid as place, row(t.*)::text as before{values}
  from {found} as w join {from} as t on {matched}
  where {batch} and ({still})
), changed as (
  update {from} as t set {set}
  from picked
  where t.tableoid = picked.part and t.ctid = picked.place
  returning picked.no as no, {key} as key, picked.before as before, row(t.*)::text as after
)
insert into posthaste_undo.kept_row (plan, step, pick, relation, columns, key_columns, key, before, after, checksum)
select
  {plan}, {step}, no, {relation},
  -- asked once, and not for each row.
  (select posthaste_undo.columns_of({relation})), {key_columns}, key, before, after, md5(before)
from changed
