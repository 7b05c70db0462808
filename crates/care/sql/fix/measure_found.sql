-- purpose: how many rows a step has found.
-- params: none; `{plan}`, `{step}` and `{found}` are put in.
-- locks: ACCESS SHARE on our own table.
-- index: none.
insert into posthaste_undo.measured (plan, moment, what, name, value)
select {plan}, 'before', 'rows-wrong', {step}, count(*) from {found}
