-- purpose: the numbers of the rows that a step changed, so that its undo can go over them in batches.
-- params: none; `{found}`, `{plan}` and `{step}` are put in.
-- locks: ACCESS SHARE on our own table.
-- index: kept_row_of_step.
create table {found} as
select k.pick as no from posthaste_undo.kept_row as k where k.plan = {plan} and k.step = {step} and k.taken_back_at is null
