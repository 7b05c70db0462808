-- purpose: how many rows are still wrong, counted again over the whole table.
-- params: none; `{plan}`, `{step}` and `{count}` (a query) are put in.
-- locks: ACCESS SHARE on the table.
-- index: none.
insert into posthaste_undo.measured (plan, moment, what, name, value)
select {plan}, 'after', 'rows-wrong', {step}, left_over.rows from ({count}) as left_over
