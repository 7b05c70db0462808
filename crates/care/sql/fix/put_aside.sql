-- purpose: the rows that this step deleted, into the table where they are put aside.
-- params: none; `{quarantine}`, `{columns}`, `{chosen}`, `{table}`, `{relation}`, `{plan}`
--   and `{step}` are put in.
-- locks: ROW EXCLUSIVE on our own table.
-- index: kept_row_of_step.
insert into {quarantine} ({columns}, posthaste_plan, posthaste_step)
select {chosen}, k.plan, k.step
from posthaste_undo.kept_row as k cross join lateral (select (k.before::{table}).*) as r
where k.plan = {plan} and k.step = {step} and k.relation = {relation} and k.taken_back_at is null
  and k.changed_at >= transaction_timestamp()
