-- purpose: rows that were taken back are no longer put aside.
-- params: none; `{quarantine}`, `{plan}`, `{step}` and `{picks}` are put in.
-- locks: ROW EXCLUSIVE on our own table.
-- index: none; it is small.
delete from {quarantine} where posthaste_plan = {plan} and posthaste_step = {step} and posthaste_pick = any ({picks})
