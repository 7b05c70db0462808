-- purpose: the rows that this batch deleted, into the table where they are put aside.
-- params: none; `{quarantine}`, `{columns}`, `{chosen}`, `{table}`, `{relation}`, `{plan}`, `{step}`, `{found}` and
--   `{batch}` are put in, the last one by the runner.
-- locks: ROW EXCLUSIVE on our own table.
-- index: kept_row_of_step.
insert into {quarantine} ({columns}, posthaste_plan, posthaste_step, posthaste_pick)
select {chosen}, k.plan, k.step, k.pick
from posthaste_undo.kept_row as k cross join lateral (select (k.before::{table}).*) as r
where k.plan = {plan} and k.step = {step} and k.pick in (select w.no from {found} as w where {batch})
  and k.relation = {relation} and k.taken_back_at is null
