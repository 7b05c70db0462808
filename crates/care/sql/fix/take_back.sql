-- purpose: puts the rows of one batch of a step back as they were.
-- params: none; `{plan}`, `{step}`, `{found}` and `{batch}` are put in, the last one by the runner.
-- locks: ROW EXCLUSIVE on the tables of the step, and the rows that come back.
-- index: kept_row_of_step.
select posthaste_undo.take_back({plan}, {step}, array(select w.no from {found} as w where {batch}), false)
