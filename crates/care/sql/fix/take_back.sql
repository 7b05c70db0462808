-- purpose: puts the rows of one step back as they were.
-- params: none; `{plan}` and `{step}` are put in.
-- locks: ROW EXCLUSIVE on the tables of the step, and the rows that come back.
-- index: kept_row_of_step.
select posthaste_undo.take_back({plan}, {step})
